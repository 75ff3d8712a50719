r"""Draw what a DensePose model sees in images, or write it into a file.

    python -m lazycfg.projects.densepose.apply_net show --config output/quickstart_densepose/config.py \\
        --weights output/quickstart_densepose/model_final.safetensors --output shown datasets/figures/img
    python -m lazycfg.projects.densepose.apply_net dump --config output/quickstart_densepose/config.py \\
        --weights output/quickstart_densepose/model_final.safetensors --output results.json "img/*.png"

An input is a file, a folder of images, or a pattern in quotes. `show` writes `<name>.png` for each image into
the folder --output. `dump` writes a JSON list with, for each image, "file_name", "image_size" (height and
width), "scores", "pred_classes", "pred_boxes_XYXY" and "pred_densepose"; `load_dump` reads it.
"""

import argparse
import base64
import glob
import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lazycfg.config import ConfigError
from lazycfg.data import ImageError, load_rgb
from lazycfg.data.image import read_image
from lazycfg.layers import nms
from lazycfg.structures import Instances, MeshFileError
from lazycfg.utils import atomic_write

from .structures import (
    DensePoseChartPredictorOutput,
    DensePoseChartResultCompressed,
    chart_results,
    compress_chart_result,
    decompress_chart_result,
    quantize_chart_result,
)
from .visualization import Kind, draw_densepose, vertex_colors, vertices_of

__all__ = ["describe_instances", "load_dump", "main"]

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (("show", "draw what the model sees"), ("dump", "write what the model sees")):
        own = commands.add_parser(name, help=what)
        own.add_argument("inputs", nargs="+", metavar="INPUT", help="a file, a folder or a pattern")
        own.add_argument("--config", required=True, metavar="FILE", help="config of the model")
        own.add_argument("--weights", metavar="FILE", help="default: train.init_checkpoint of the config")
        own.add_argument("--output", required=True, metavar="FOLDER" if name == "show" else "FILE")
        own.add_argument("--score", type=float, default=0.8, help="leave out objects below it (default: 0.8)")
        own.add_argument("--nms", type=float, metavar="IOU", help="leave out less sure overlaps")
        own.add_argument("--trusted", action="store_true", help="a .yaml or .json config may name anything")
        own.add_argument("--set", nargs="*", default=[], metavar="key=value", help="overrides of the config")
        if name == "show":
            own.add_argument(
                "--draw",
                metavar="KINDS",
                help=f"any of {', '.join(get_args(Kind))}, with commas between (default: dp_contour,bbox for "
                "charts, dp_vertex,bbox for embeddings)",
            )
            own.add_argument("--texture", metavar="FILE", help="atlas of 6 x 4 parts, for dp_iuv_texture")
            own.add_argument(
                "--mesh",
                action="append",
                default=[],
                metavar="NAME=FILE",
                help="geometry of a mesh, by which dp_vertex colours its vertices",
            )
    args = parser.parse_args(argv)
    if args.command == "show" and args.draw is not None:
        unknown = [kind for kind in args.draw.split(",") if kind not in get_args(Kind)]
        if unknown:
            parser.error(f"--draw: {unknown[0]!r} is none of {', '.join(get_args(Kind))}")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    args = parse(argv)
    from lazycfg.checkpoint import CheckpointError, UnsafeFileError, WeightsMismatchError
    from lazycfg.engine import Predictor, SettingsError

    own = (SettingsError, WeightsMismatchError, UnsafeFileError, CheckpointError, ImageError, ConfigError)
    try:
        files = list(find_images(args.inputs))
        predictor = Predictor.from_config(
            args.config, weights=args.weights, overrides=args.set, trusted=args.trusted
        )
        embedder = getattr(getattr(predictor.model, "roi_heads", None), "embedder", None)
        found = zip(files, predictor.stream(files), strict=True)
        act = show if args.command == "show" else dump
        for written in act(((file, chosen(x, args)) for file, x in found), args, predictor, embedder):
            print(written)
    except (*own, MeshFileError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def find_images(inputs: Sequence[str]) -> Iterator[str]:
    """Yield the files that are meant, each folder's in the order of their names.

    Raises:
        FileNotFoundError: nothing is there.
    """
    for each in inputs:
        if os.path.isdir(each):
            files = [str(p) for p in sorted(Path(each).iterdir()) if p.suffix.lower() in IMAGES]
        elif os.path.isfile(each):
            files = [each]
        else:
            files = sorted(glob.glob(each))
        if not files:
            raise FileNotFoundError(f"no image {each!r}: give a file, a folder of images or a pattern")
        yield from files


def chosen(found: Instances, args: argparse.Namespace) -> Instances:
    """Return the objects that are sure enough, the best first.

    Raises:
        ValueError: the model predicts no charts or embeddings.
    """
    found = found[found.scores >= args.score]
    found = found[found.scores.argsort(descending=True, stable=True)]
    if args.nms is not None:
        found = found[nms(found.pred_boxes.tensor.float(), found.scores.float(), args.nms)]
    if len(found) and not found.has("pred_densepose"):
        raise ValueError("the model predicts no pred_densepose: is it a DensePose R-CNN?")
    return found


def show(
    found: Iterator[tuple[str, Instances]], args: argparse.Namespace, predictor: Any, embedder: Any
) -> Iterator[Path]:
    """Draw what was found over the images, and yield the files.

    Raises:
        ValueError: a drawing needs what the model does not predict.
    """
    kinds: Any = (args.draw or ("dp_contour,bbox" if embedder is None else "dp_vertex,bbox")).split(",")
    atlas = None if args.texture is None else read_atlas(args.texture)
    colors = {}
    for each in args.mesh:
        from .cse import Mesh

        name, _, path = each.partition("=")
        if not path:
            raise ValueError(
                f"--mesh {each}: give the name of a mesh and its file, such as figure=figure.pkl"
            )
        colors[name] = vertex_colors(Mesh(name=name, geometry=path).read_vertices())
    folder = Path(args.output)
    names: dict[str, str] = {}
    for file, instances in found:
        path = folder / f"{Path(file).stem}.png"
        if path.name in names:
            raise ValueError(f"{file} and {names[path.name]} would both be drawn as {path}")
        names[path.name] = file
        image = load_rgb({"file_name": file}, predictor.mapper)
        drawn = draw_densepose(
            image,
            instances,
            kinds,
            score_threshold=args.score,
            atlas=atlas,
            embedder=embedder,
            colors_of_meshes=colors,
        )
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(drawn).save(path)
        yield path


def read_atlas(path: str) -> np.ndarray:
    """Return a texture (H, W, 3 or 4) uint8."""
    with Image.open(path) as file:
        has_alpha = "A" in file.getbands() or "transparency" in file.info
        return (
            np.array(file.convert("RGBA")) if has_alpha else read_image(path, "RGB").permute(1, 2, 0).numpy()
        )


def dump(
    found: Iterator[tuple[str, Instances]], args: argparse.Namespace, predictor: Any, embedder: Any
) -> Iterator[Path]:
    """Write what was found into one file, and yield it."""
    entries = [{"file_name": file, **describe_instances(instances, embedder)} for file, instances in found]
    path = Path(args.output)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as partial:
        partial.write_text(json.dumps(entries))
    yield path


def describe_instances(found: Instances, embedder: Any = None) -> dict[str, Any]:
    """Return what a model found in an image as plain values.

    Args:
        found: with ``pred_boxes``, ``scores``, ``pred_classes`` and, if there is any object,
            ``pred_densepose``.
        embedder: of the model, where it gives embeddings.

    Returns:
        "pred_densepose" is a list of dicts: of charts "shape_chw" and "labels_uv_str" (see
        `DensePoseChartResultCompressed`); of embeddings "mesh_name", "box" (left, top, width, height) and
        "vertices_str", a PNG image of 16 bits in base64 with the number of the vertex plus 1 at each pixel.

    Raises:
        ValueError: there is no embedder to turn embeddings to vertices.
    """
    boxes = found.pred_boxes.tensor.float()
    result: dict[str, Any] = {
        "image_size": list(found.image_size),
        "scores": found.scores.tolist(),
        "pred_classes": found.pred_classes.tolist(),
        "pred_boxes_XYXY": boxes.tolist(),
        "pred_densepose": [],
    }
    if not len(found):
        return result
    output = found.pred_densepose
    if isinstance(output, DensePoseChartPredictorOutput):
        small = [compress_chart_result(quantize_chart_result(r)) for r in chart_results(output, boxes)]
        result["pred_densepose"] = [asdict(each) for each in small]
    elif embedder is not None:
        result["pred_densepose"] = [
            {"mesh_name": seen.mesh_name, "box": seen.box, "vertices_str": _packed(seen.vertices)}
            for seen in vertices_of(found, boxes, embedder)
        ]
    else:
        raise ValueError("embeddings are written as vertices, which needs the embedder of the model")
    return result


def load_dump(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Read what `dump` wrote.

    Returns:
        for each image a dict with "file_name", "image_size", "scores" (N,), "pred_classes" (N,),
        "pred_boxes_XYXY" (N, 4) as tensors, and "pred_densepose": of charts a list of
        `DensePoseChartResultQuantized`, of embeddings one of dicts with "mesh_name", "box" and "vertices"
        (h, w) int64, -1 for the background.

    Raises:
        FileNotFoundError, ValueError: the file is not there, or something else.
    """
    try:
        entries = json.loads(Path(path).read_text())
        return [_loaded(entry) for entry in entries]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{os.fspath(path)} is no file that `apply_net dump` wrote: {error!r}") from error


def _loaded(entry: dict[str, Any]) -> dict[str, Any]:
    densepose: list[Any] = []
    for each in entry["pred_densepose"]:
        if "labels_uv_str" in each:
            compressed = DensePoseChartResultCompressed(
                shape_chw=tuple(each["shape_chw"]), labels_uv_str=each["labels_uv_str"]
            )
            densepose.append(decompress_chart_result(compressed))
        else:
            vertices = _unpacked(each["vertices_str"])
            densepose.append(
                {"mesh_name": each["mesh_name"], "box": tuple(each["box"]), "vertices": vertices}
            )
    return {
        "file_name": entry["file_name"],
        "image_size": tuple(entry["image_size"]),
        "scores": torch.tensor(entry["scores"]),
        "pred_classes": torch.tensor(entry["pred_classes"], dtype=torch.int64),
        "pred_boxes_XYXY": torch.tensor(entry["pred_boxes_XYXY"]).view(-1, 4),
        "pred_densepose": densepose,
    }


def _packed(vertices: Tensor) -> str:
    file = io.BytesIO()
    Image.fromarray((vertices + 1).cpu().numpy().astype(np.uint16)).save(file, format="PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")


def _unpacked(text: str) -> Tensor:
    with Image.open(io.BytesIO(base64.b64decode(text))) as file:
        return torch.from_numpy(np.array(file).astype(np.int64)) - 1


if __name__ == "__main__":
    raise SystemExit(main())
