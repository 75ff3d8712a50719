"""Make a small data set in the format of DensePose: figures of 24 parts, with charts and a mesh.

    python -m lazycfg.projects.densepose.make_figures --output datasets/figures --train 1000 --test 80

It has an annotation file in COCO's format for each set, with points on charts ("dp_I", "dp_U", "dp_V") and on
the mesh ("dp_vertex"), and stands for the files of the surface that nobody may pass on, in the formats in
which they are published. The same numbers make the same files.
"""

import argparse
import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lazycfg.structures.rle import encode_mask

from .figures.body import Surface, build_surface, coarse_label
from .figures.drawing import Seen, draw_figures

__all__ = ["MESH", "main", "make_figures", "make_surface_files"]

MESH = "figure"
"""Name of the mesh."""
MASK = 256
FEATURES = 64


def make_figures(
    output: str | Path, *, train: int, test: int, side: int = 128, points: int = 120, seed: int = 0
) -> list[Path]:
    """Write the data set: ``figures_train.json``, ``figures_test.json``, the folder ``img``, and the files of
    the surface, see `make_surface_files`.

    Args:
        output: a folder.
        train, test: images of each set, with one or two figures, most of which are annotated.
        side: of the images, in pixels.
        points: at most so many of each figure.
        seed: of all that is random.

    Returns:
        the two files.

    Raises:
        ImportError: scipy is not installed.
    """
    output, surface = Path(output), build_surface()
    make_surface_files(output, surface)
    (output / "img").mkdir(exist_ok=True)
    files = []
    for name, count in (("train", train), ("test", test)):
        rng = np.random.default_rng((seed, name == "test"))
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for i in range(count):
            pixels, seen = draw_figures(rng, side, int(rng.integers(1, 3)))
            file_name = f"img/{name}_{i:05d}.png"
            Image.fromarray(pixels).save(output / file_name)
            images.append({"id": i, "file_name": file_name, "width": side, "height": side})
            for figure in np.unique(seen.figure[seen.figure >= 0]):
                found = _annotation(rng, seen, int(figure), surface, points)
                if found is not None:
                    annotations.append({"id": len(annotations) + 1, "image_id": i, **found})
        categories = [{"id": 1, "name": "person", "supercategory": "person"}]
        file = output / f"figures_{name}.json"
        file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
        files.append(file)
    return files


def _annotation(
    rng: np.random.Generator, seen: Seen, figure: int, surface: Surface, points: int
) -> dict[str, Any] | None:
    mask = seen.figure == figure
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if mask.sum() < 150 or len(rows) < 20 or len(columns) < 10:
        return None
    x, y = int(columns[0]), int(rows[0])
    w, h = int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y
    found: dict[str, Any] = {
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [float(each) for each in (x, y, w, h)],
        "area": float(mask.sum()),
        "segmentation": encode_mask(mask),
    }
    if rng.random() < 0.1:  # as in COCO, not everybody is annotated
        return found
    row, column = np.nonzero(mask)
    chosen = rng.permutation(len(row))[:points]
    row, column = row[chosen], column[chosen]
    part = seen.part[row, column]
    u, v = seen.u[row, column], seen.v[row, column]
    centre = (np.arange(MASK) + 0.5) / MASK
    window = (y + (centre * h).astype(int))[:, None], x + (centre * w).astype(int)
    coarse = np.where(mask[window], coarse_label(seen.part[window]), 0)
    return found | {
        "dp_x": _numbers((column + 0.5 - x) / w * MASK),
        "dp_y": _numbers((row + 0.5 - y) / h * MASK),
        "dp_I": [float(each) for each in part],
        "dp_U": _numbers(u.clip(0, 1)),
        "dp_V": _numbers(v.clip(0, 1)),
        "dp_masks": [encode_mask(coarse == k) if (coarse == k).any() else [] for k in range(1, 15)],
        "dp_vertex": surface.closest(part, u, v).tolist(),
        "ref_model": MESH,
    }


def _numbers(values: np.ndarray) -> list[float]:
    return [round(float(each), 4) for each in values]


def make_surface_files(output: str | Path, surface: Surface | None = None) -> None:
    """Write what stands for the published files: UV_symmetry_transforms.mat, SMPL_subdiv.mat,
    SMPL_SUBDIV_TRANSFORM.mat and Pdist_matrix.pkl; and the mesh in ``meshes``, with its geodesic distances,
    symmetry, texture coordinates, and features of its vertices (``phi_figure.pkl``).

    Raises:
        ImportError: scipy is not installed.
    """
    try:
        from scipy.io import savemat
    except ImportError as error:
        raise ImportError("DensePose's data are MATLAB files: pip install scipy") from error
    output = Path(output)
    surface = build_surface() if surface is None else surface
    output.mkdir(parents=True, exist_ok=True)
    across, down = np.meshgrid(np.arange(256) / 255, np.arange(256) / 255)
    tables = {"U_transforms": 1 - across, "V_transforms": down}
    cells = {}
    for name, table in tables.items():
        cells[name] = np.empty((1, 24), dtype=object)
        for k in range(24):
            cells[name][0, k] = table
    savemat(output / "UV_symmetry_transforms.mat", cells, do_compression=True)
    savemat(
        output / "SMPL_subdiv.mat",
        {
            "Part_ID_subdiv": surface.part[:, None],
            "U_subdiv": surface.u[:, None],
            "V_subdiv": surface.v[:, None],
        },
    )
    savemat(output / "SMPL_SUBDIV_TRANSFORM.mat", {"index": surface.index[:, None] + 1})
    lower = np.tril_indices(len(surface.vertices), -1)
    distances = surface.distances.astype(np.float32)
    meshes = output / "meshes"
    contents: dict[Path, Any] = {
        output / "Pdist_matrix.pkl": {"Pdist_matrix": distances[lower][:, None]},
        meshes / f"{MESH}.pkl": {"vertices": surface.vertices, "faces": surface.faces},
        meshes / "geodists" / f"geodists_{MESH}.pkl": distances,
        meshes / "symmetry" / f"symmetry_{MESH}.pkl": {"vertex_transforms": surface.mirror},
        meshes / "texcoords" / f"texcoords_{MESH}.pkl": surface.texcoords,
        meshes / f"phi_{MESH}.pkl": _features(surface),
    }
    for path, content in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps(content, protocol=4))


def _features(surface: Surface) -> dict[str, np.ndarray]:
    """Return the smoothest functions on the surface (V, 64), and weights (64, 16) to begin with."""
    near = np.exp(-((surface.distances / 0.1) ** 2))
    degree = near.sum(axis=1)
    values, vectors = np.linalg.eigh(near / np.sqrt(degree[:, None] * degree))
    features = vectors[:, ::-1][:, :FEATURES] * values[::-1][:FEATURES] * np.sqrt(len(degree))
    weights = np.random.default_rng(0).normal(scale=FEATURES**-0.5, size=(FEATURES, 16))
    return {"features": features.astype(np.float32), "embeddings": weights.astype(np.float32)}


def main(argv: Sequence[str] | None = None) -> int:
    """Make the data set that the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", required=True, metavar="FOLDER")
    parser.add_argument("--train", type=int, default=1000, help="images to train on")
    parser.add_argument("--test", type=int, default=80, help="images to evaluate on")
    parser.add_argument("--side", type=int, default=128, help="of the images, in pixels")
    args = parser.parse_args(argv)
    for file in make_figures(args.output, train=args.train, test=args.test, side=args.side):
        print(file)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
