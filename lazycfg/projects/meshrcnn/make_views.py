"""Make a small data set in the format of ShapeNet as Mesh R-CNN reads it: views of textured solids.

    python -m lazycfg.projects.meshrcnn.make_views --output datasets/solid_views --models 60 --views 6

The solids are those of `make_solids`. The same numbers make the same files.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from lazycfg.layers import sample_points_from_meshes
from lazycfg.structures import Meshes

from .make_solids import CLASSES, draw, make_model, rotation
from .shapenet_models import INTRINSICS

__all__ = ["main", "make_views"]

TO_OTHER_CAMERA = (-1.0, 1.0, -1.0)
"""From x right and z behind to x left and z ahead, which is how `render_mesh` takes points."""


def make_views(output: str | Path, *, models: int, views: int, side: int = 137, seed: int = 0) -> Path:
    """Write folders of models and ``splits.json``: every fourth model of a class is for the test.

    Args:
        output: a folder.
        models: solids of all classes together.
        views: images of each.
        side: of the images, in pixels.

    Returns:
        the file of the splits.
    """
    output, rng = Path(output), np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    splits: dict[str, dict[str, dict[str, list[int]]]] = {"train": {}, "test": {}}
    for number in range(models):
        label, own = CLASSES[number % len(CLASSES)], number // len(CLASSES)
        verts, faces, voxels = make_model(label, rng)
        folder = output / label / f"{own:04d}"
        (folder / "images").mkdir(parents=True, exist_ok=True)
        poses = []
        for view in range(views):
            pose = np.eye(4)
            pose[:3, :3] = rotation(rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(20, 35)))
            pose[2, 3] = -rng.uniform(1.3, 1.6)
            poses.append(torch.tensor(pose, dtype=torch.float32))
            seen = verts @ poses[-1][:3, :3].t() + poses[-1][:3, 3]
            focal = INTRINSICS[0][0] * side / 2
            image, _ = draw(verts, faces, seen * torch.tensor(TO_OTHER_CAMERA), focal, side, rng)
            Image.fromarray(image).save(folder / "images" / f"{view:02d}.png")
        points, normals = sample_points_from_meshes(
            Meshes([verts], [faces]), 3000, return_normals=True, generator=generator
        )
        low, high = verts.amin(0), verts.amax(0)
        cells = (torch.from_numpy(np.argwhere(voxels)).float() + 0.5) / torch.tensor(voxels.shape)
        files = {
            "metadata": {
                "image_list": [f"{view:02d}.png" for view in range(views)],
                "intrinsic": torch.tensor(INTRINSICS),
                "extrinsics": torch.stack(poses),
            },
            "mesh": {"verts": verts, "faces": faces},
            "samples": {"points_sampled": points[0], "normals_sampled": normals[0]},
            "voxels": {"voxel_coords": low + cells * (high - low)},
        }
        for name, values in files.items():
            torch.save(values, folder / f"{name}.pt")
        split = "test" if own % 4 == 3 else "train"
        splits[split].setdefault(label, {})[folder.name] = list(range(views))
    path = output / "splits.json"
    path.write_text(json.dumps(splits))
    return path


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", required=True, metavar="FOLDER")
    parser.add_argument("--models", type=int, default=60, help="solids of all classes together")
    parser.add_argument("--views", type=int, default=6, help="images of each")
    parser.add_argument("--side", type=int, default=137, help="of the images, in pixels")
    args = parser.parse_args(argv)
    print(make_views(args.output, models=args.models, views=args.views, side=args.side))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
