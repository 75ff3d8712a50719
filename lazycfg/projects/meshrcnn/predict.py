r"""Write the meshes that a model sees in images as OBJ files, and draw them over the images.

    python -m lazycfg.projects.meshrcnn.predict --config output/quickstart_meshrcnn/config.py \\
        --weights output/quickstart_meshrcnn/model_final.safetensors --output meshes \\
        datasets/solids/img/test_0000*.png

For an image `x.png` there are `x_0_block.obj`, `x_1_wedge.obj`..., the best first, and `x.png` with the
meshes drawn over it. A mesh is in the coordinates of a camera that looks at the centre of the image: x left,
y up, z ahead. How far away and so how large an object is cannot be seen in one image: --distance says it, in
any unit.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from lazycfg.config import ConfigError
from lazycfg.data import ImageError, load_rgb
from lazycfg.structures import Instances, save_obj

from .camera import meshes_before_camera
from .render import draw_mesh

__all__ = ["main"]

COLORS = ((70, 160, 255), (255, 150, 60), (110, 220, 110), (240, 110, 200), (240, 220, 80))


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    parser.add_argument("--config", required=True, metavar="FILE", help="config of the model")
    parser.add_argument("--weights", metavar="FILE", help="default: train.init_checkpoint of the config")
    parser.add_argument("--output", required=True, metavar="FOLDER", help="where the files go")
    parser.add_argument("--score", type=float, default=0.5, help="leave out objects below it")
    parser.add_argument(
        "--focal-length", type=float, metavar="PIXELS", help="default: 1.2 times the longer side of an image"
    )
    parser.add_argument("--distance", type=float, default=10.0, help="depth of the objects (default: 10)")
    parser.add_argument("--trusted", action="store_true", help="a .yaml or .json config may name anything")
    parser.add_argument("--set", nargs="*", default=[], metavar="key=value", help="overrides of the config")
    args = parser.parse_args(argv)
    for name in ("focal_length", "distance"):
        value = getattr(args, name)
        if value is not None and value <= 0:
            parser.error(f"--{name.replace('_', '-')} must be above 0, got {value}")
    doubled = {
        Path(i).stem for i in args.images if [Path(j).stem for j in args.images].count(Path(i).stem) > 1
    }
    if doubled:
        parser.error(f"several images are named {min(doubled)}: their files would have the same names")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""
    args = parse(argv)
    from lazycfg.checkpoint import CheckpointError, UnsafeFileError, WeightsMismatchError
    from lazycfg.engine import Predictor, SettingsError

    own = (SettingsError, WeightsMismatchError, UnsafeFileError, CheckpointError, ImageError, ConfigError)
    try:
        predictor = Predictor.from_config(
            args.config, weights=args.weights, overrides=args.set, trusted=args.trusted
        )
        names = predictor.metadata.thing_classes if predictor.metadata else ()
        for file, found in zip(args.images, predictor.stream(args.images), strict=True):
            for written in write_meshes(file, found, names, args, predictor.mapper):
                print(written)
    except (*own, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def write_meshes(
    file: str, found: Instances, names: Sequence[str], args: argparse.Namespace, mapper: Any
) -> list[Path]:
    """Write the files of one image and return them.

    Raises:
        ValueError: the model predicts no meshes, or no depths.
    """
    found = found[found.scores >= args.score]
    found = found[found.scores.argsort(descending=True)]
    focal = args.focal_length or 1.2 * max(found.image_size)
    missing = [key for key in ("pred_meshes", "pred_dz") if not found.has(key)]
    if missing:
        raise ValueError(
            f"the model predicts no {' and no '.join(missing)}: is it a Mesh R-CNN with its z_head, and with "
            "a voxel_head or a mesh_head?"
        )
    shapes = found.pred_meshes.to(torch.float32).meshes()
    meshes = meshes_before_camera(
        shapes, found.pred_boxes.tensor, found.pred_dz, focal, found.image_size, args.distance
    )
    image = np.ascontiguousarray(load_rgb({"file_name": file}, mapper).permute(1, 2, 0).numpy())
    folder, stem = Path(args.output), Path(file).stem
    written = []
    for i, label in enumerate(found.pred_classes.tolist()):
        name = re.sub(r"\W+", "_", names[label]) if label < len(names) else str(label)
        verts, faces = meshes.verts_list()[i], meshes.faces_list()[i]
        written.append(folder / f"{stem}_{i}_{name}.obj")
        save_obj(written[-1], verts, faces)
    for i in reversed(range(len(found))):
        color = COLORS[i % len(COLORS)]
        image = draw_mesh(image, meshes.verts_list()[i], meshes.faces_list()[i], focal, color)
    folder.mkdir(parents=True, exist_ok=True)
    written.append(folder / f"{stem}.png")
    Image.fromarray(image).save(written[-1])
    return written


if __name__ == "__main__":
    raise SystemExit(main())
