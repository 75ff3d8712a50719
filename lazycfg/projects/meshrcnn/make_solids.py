"""Make a small data set in the format of Pix3D: textured solids before a camera.

    python -m lazycfg.projects.meshrcnn.make_solids --output datasets/solids --train 1000 --test 80

Each image shows one solid of one of four classes, with its mask, voxels, mesh and camera. The same numbers
make the same files.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lazycfg.structures import save_obj

from .render import render_mesh

__all__ = ["CLASSES", "main", "make_solids"]

CLASSES = ("block", "wedge", "cylinder", "steps")
CELLS = 40
"""Of the longest side of the voxel grids."""


def outline(name: str, rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Return the corners (K, 2) of a solid's base, counter-clockwise, and its height. From the first corner
    all others can be seen.
    """
    if name == "block":
        width, depth = rng.uniform(0.6, 1.0, size=2)
        return np.array([[0, 0], [width, 0], [width, depth], [0, depth]]), float(rng.uniform(0.6, 1.2))
    if name == "wedge":
        return np.array([[0, 0], [1.0, 0], [0, rng.uniform(0.7, 1.0)]]), float(rng.uniform(0.6, 1.0))
    if name == "cylinder":
        angles = np.arange(24) * (2 * np.pi / 24)
        return 0.45 * np.stack((np.cos(angles), np.sin(angles)), axis=1), float(rng.uniform(0.7, 1.2))
    x, y = rng.uniform(0.4, 0.55, size=2)
    return np.array([[x, y], [x, 1], [0, 1], [0, 0], [1, 0], [1, y]]), float(rng.uniform(0.6, 1.0))


def make_model(name: str, rng: np.random.Generator) -> tuple[Tensor, Tensor, np.ndarray]:
    """Return vertices (V, 3) and faces (F, 3) of a closed solid, centred and at most 0.5 from the origin, and
    its voxels, bool (X, Y, Z).
    """
    base, height = outline(name, rng)
    count = len(base)
    verts = np.concatenate([np.insert(base, 1, level, axis=1) for level in (0.0, height)])  # x, y up, z
    i = np.arange(1, count - 1)
    lower = np.stack((np.zeros_like(i), i, i + 1), axis=1)
    j, k = np.arange(count), (np.arange(count) + 1) % count
    sides = np.concatenate((np.stack((j, j + count, k), axis=1), np.stack((k, j + count, k + count), axis=1)))
    faces = np.concatenate((lower, lower[:, ::-1] + count, sides))

    low, high = verts.min(axis=0), verts.max(axis=0)
    cells = np.maximum(1, np.round(CELLS * (high - low) / (high - low).max())).astype(int)
    axes = [low[d] + (np.arange(cells[d]) + 0.5) * (high[d] - low[d]) / cells[d] for d in range(3)]
    inside = contains(base, *np.meshgrid(axes[0], axes[2], indexing="ij"))
    voxels = np.repeat(inside[:, None, :], cells[1], axis=1)
    verts -= (low + high) / 2
    verts /= 2 * np.linalg.norm(verts, axis=1).max()
    return torch.from_numpy(verts.astype(np.float32)), torch.from_numpy(faces.copy()), voxels


def contains(polygon: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return whether points are in a polygon (K, 2): a ray crosses its sides an odd number of times."""
    inside = np.zeros(x.shape, dtype=bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y0 != y1:
            crosses = (y0 > y) != (y1 > y)
            inside ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return inside


def rotation(yaw: float, pitch: float) -> np.ndarray:
    """Return the rotation (3, 3) around y and then towards the camera, by angles in radians."""
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    c, s = np.cos(pitch), np.sin(pitch)
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ turn


def draw(
    verts: Tensor, faces: Tensor, posed: Tensor, focal: float, side: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return an image (side, side, 3) uint8 of a striped solid, and its mask, shape (side, side), bool."""
    seen = render_mesh(posed, faces, focal, (side, side))
    there = seen.face >= 0
    number = seen.face.clamp(min=0)
    where = (verts[faces][number] * seen.weights[..., None]).sum(2).numpy()
    a, b, c = posed[faces].unbind(1)
    normal = torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=1).numpy()
    light = np.array([0.4, 0.8, -0.45])
    lit = np.abs(normal @ light)[number.numpy()]
    color, other = rng.uniform(90, 255, size=(2, 3))
    stripes = np.floor(where @ rng.normal(size=3) * rng.uniform(5, 9)) % 2
    surface = color + 0.35 * stripes[..., None] * (other - color)
    ramp = np.linspace(0, 1, side)[:, None, None]
    sky, ground = rng.uniform(30, 200, size=(2, 3))
    image = np.broadcast_to(sky + ramp * (ground - sky), (side, side, 3))
    image = np.where(there.numpy()[..., None], surface * (0.25 + 0.75 * lit)[..., None], image)
    image = image + rng.normal(scale=4, size=image.shape)
    return image.clip(0, 255).round().astype(np.uint8), there.numpy()


def make_solids(
    output: str | Path, *, train: int, test: int, side: int = 128, models: int = 3, seed: int = 0
) -> list[Path]:
    """Write the data set: ``solids_train.json``, ``solids_test.json``, and folders ``img``, ``mask`` and
    ``model``.

    Args:
        output: a folder.
        train, test: images of each set. Both show the same solids, in other places.
        side: of the images, in pixels.
        models: solids of each class.

    Returns:
        the two files.

    Raises:
        ImportError: scipy is not installed.
    """
    try:
        from scipy.io import savemat
    except ImportError as error:
        raise ImportError("the voxels of Pix3D are MATLAB files: pip install scipy") from error
    output, rng = Path(output), np.random.default_rng(seed)
    solids = []
    for label, name in enumerate(CLASSES):
        for number in range(models):
            verts, faces, voxels = make_model(name, rng)
            folder = output / "model" / f"{name}_{number}"
            folder.mkdir(parents=True, exist_ok=True)
            save_obj(folder / "model.obj", verts, faces)
            # the axes of Pix3D's own files, see `load_voxels`
            savemat(folder / "voxel.mat", {"voxel": np.rot90(voxels, axes=(1, 2)).astype(np.uint8)})
            solids.append((label, f"model/{folder.name}", verts, faces))
    files = []
    for name, count in (("train", train), ("test", test)):
        images, annotations = [], []
        for i in range(count):
            label, folder_name, verts, faces = solids[i % len(solids)]
            stem = f"{name}_{i:05d}.png"
            camera = _place(rng, side)
            posed = verts @ torch.tensor(camera["rot_mat"], dtype=torch.float32).t()
            posed = posed + torch.tensor(camera["trans_mat"], dtype=torch.float32)
            image, mask = draw(verts, faces, posed, camera["K"][0], side, rng)
            for kind, pixels in (("img", image), ("mask", mask.astype(np.uint8) * 255)):
                (output / kind).mkdir(exist_ok=True)
                Image.fromarray(pixels).save(output / kind / stem)
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            x, y = int(columns[0]), int(rows[0])
            box = [x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y]
            images.append({"id": i, "file_name": f"img/{stem}", "width": side, "height": side})
            annotations.append(
                {
                    "id": i,
                    "image_id": i,
                    "category_id": label + 1,
                    "iscrowd": 0,
                    "bbox": box,
                    "area": int(mask.sum()),
                    "segmentation": f"mask/{stem}",
                    "model": f"{folder_name}/model.obj",
                    "voxel": f"{folder_name}/voxel.mat",
                    **camera,
                }
            )
        categories = [{"id": k + 1, "name": c} for k, c in enumerate(CLASSES)]
        file = output / f"solids_{name}.json"
        file.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
        files.append(file)
    return files


def _place(rng: np.random.Generator, side: int) -> dict[str, Any]:
    """Return a pose from which the whole solid is seen."""
    focal = 1.2 * side
    away = rng.uniform(1.7, 2.3)
    room = max(0.0, away * 0.5 / 1.2 - 0.55)  # half of what is seen at this distance, less the solid
    across, up = rng.uniform(-room, room, size=2)
    turn = rotation(rng.uniform(0, 2 * np.pi), -np.radians(rng.uniform(15, 35)))
    return {
        "K": [focal, side / 2, side / 2],
        "rot_mat": turn.tolist(),
        "trans_mat": [float(across), float(up), float(away)],
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", required=True, metavar="FOLDER")
    parser.add_argument("--train", type=int, default=1000, help="images to train on")
    parser.add_argument("--test", type=int, default=80, help="images to evaluate on")
    parser.add_argument("--side", type=int, default=128, help="of the images, in pixels")
    args = parser.parse_args(argv)
    for file in make_solids(args.output, train=args.train, test=args.test, side=args.side):
        print(file)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
