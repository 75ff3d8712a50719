r"""Print or draw the DensePose annotations of a data set.

    python -m lazycfg.projects.densepose.query_db print --config quickstart_densepose_figures.py image_id=3-5
    python -m lazycfg.projects.densepose.query_db show --config quickstart_densepose_figures.py \\
        --draw dp_segm,dp_pts,bbox --output annotated file_name=img/test_00003.png

Records are chosen by FIELD=VALUE, FIELD=FIRST-LAST for numbers; a text is equal to a value that it ends with.
Several conditions must all hold; without any, all records are meant. `show` writes `<name>.png` for each.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from PIL import Image

from lazycfg import LazyConfig, instantiate
from lazycfg.config import ConfigError
from lazycfg.data import ImageError, load_rgb
from lazycfg.data.datasets.base import Record, get_annotations
from lazycfg.structures import BoxMode
from lazycfg.utils import closest, printable
from lazycfg.visualization import Canvas, as_rgb

from .structures import DensePoseDataRelative
from .visualization import ALPHA, BOX_COLOR, parula

__all__ = ["draw_annotations", "main", "select"]

Kind = Literal["dp_segm", "dp_i", "dp_u", "dp_v", "dp_pts", "bbox"]
"""What is drawn: coarse parts; points, coloured by part, u or v, or all alike; boxes."""

POINT_COLOR = (255, 255, 255)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (("print", "print records"), ("show", "draw their annotations over the images")):
        own = commands.add_parser(name, help=what)
        own.add_argument("conditions", nargs="*", metavar="FIELD=VALUE")
        own.add_argument("--config", required=True, metavar="FILE", help="config with the data set")
        own.add_argument(
            "--loader", default="test", choices=("train", "test"), help="of which (default: test)"
        )
        own.add_argument("--max-entries", type=int, metavar="N", help="at most so many records")
        own.add_argument("--trusted", action="store_true", help="a .yaml or .json config may name anything")
        if name == "show":
            own.add_argument("--output", required=True, metavar="FOLDER")
            own.add_argument("--draw", default="dp_segm,dp_pts,bbox", metavar="KINDS", help="(%(default)s)")
    args = parser.parse_args(argv)
    if args.command == "show":
        unknown = [kind for kind in args.draw.split(",") if kind not in get_args(Kind)]
        if unknown:
            parser.error(f"--draw: {unknown[0]!r} is none of {', '.join(get_args(Kind))}")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    args = parse(argv)
    try:
        cfg = LazyConfig.load(args.config, trusted=args.trusted)
        dataset = instantiate(cfg.dataloader[args.loader].dataset)
        found = False
        for record in islice(select(dataset, args.conditions), args.max_entries):
            print(describe_record(record) if args.command == "print" else show(record, args))
            found = True
        if not found:
            print("no record fulfils all conditions", file=sys.stderr)
    except (ConfigError, ImageError, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0 if found else 1


def select(dataset: Any, conditions: Sequence[str]) -> Iterator[Record]:
    """Yield the records that fulfil all conditions, such as "image_id=3-5" or "file_name=img/00003.png".

    Raises:
        ValueError: a condition that cannot be read, or of a field that records do not have.
    """
    wanted = []
    for each in conditions:
        field, sign, value = each.partition("=")
        if not sign or not field or not value:
            raise ValueError(f"a condition is FIELD=VALUE or FIELD=FIRST-LAST, got {each!r}")
        wanted.append((field, value))
    for index in range(len(dataset)):
        record = get_annotations(dataset, index)
        for field, _ in wanted:
            if field not in record:
                raise ValueError(f"records have no field {field!r}{closest(field, list(record))}")
        if all(_equals(record[field], value) for field, value in wanted):
            yield dataset[index]


def _equals(own: Any, value: str) -> bool:
    if isinstance(own, str):
        return own.endswith(value)
    first, sign, last = value.partition("-")
    try:
        return float(first) <= own <= float(last) if sign and first else own == float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{value!r} is no number or range of numbers, and a value is {own!r}") from None


def describe_record(record: Mapping[str, Any]) -> str:
    """Return a line for a record and one for each of its annotations."""
    lines = [f"image {printable(record['image_id'])}: {printable(record['file_name'])}, "
             f"{record['width']}x{record['height']}"]  # fmt: skip
    for number, annotation in enumerate(record["annotations"]):
        points = len(annotation.get("dp_x") or ())
        kinds = [name for key, name in (("dp_I", "charts"), ("dp_masks", "masks")) if annotation.get(key)]
        if annotation.get("dp_vertex"):
            kinds.append(f"vertices of {annotation.get('ref_model')}")
        box = [round(float(v), 1) for v in annotation["bbox"]]
        lines.append(
            f"  {number}: class {annotation['category_id']}, box {box}, {points} points"
            + (f" ({', '.join(kinds)})" if kinds else "")
        )
    return "\n".join(lines)


def show(record: Record, args: argparse.Namespace) -> Path:
    """Draw the annotations of a record and return the file."""
    drawn = draw_annotations(load_rgb(record), record, args.draw.split(","))
    path = Path(args.output) / f"{Path(record['file_name']).stem}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(drawn).save(path)
    return path


def draw_annotations(
    image: Any, record: Mapping[str, Any], kinds: Sequence[Kind], *, scale: float | None = None
) -> np.ndarray:
    """Draw the annotations of a record.

    Args:
        image: RGB, see `as_rgb`; its colours are taken out.
        record: of a data set with DensePose annotations.
        kinds: what to draw, one over the other.
        scale: size of the result relative to the image; None enlarges small images.

    Returns:
        (H * scale, W * scale, 3) uint8, RGB.
    """
    light = as_rgb(image).astype(np.float64) @ (0.299, 0.587, 0.114)
    canvas = Canvas(np.repeat(light.round().astype(np.uint8)[..., None], 3, axis=2), scale=scale)
    for annotation in record["annotations"]:
        box = BoxMode.convert(list(annotation["bbox"]), annotation["bbox_mode"], BoxMode.XYXY_ABS)
        for kind in kinds:
            if kind == "bbox":
                canvas.box(box, BOX_COLOR)
            elif kind == "dp_segm":
                _draw_segm(canvas, annotation, box)
            elif annotation.get("dp_x") is not None:
                _draw_points(canvas, annotation, box, kind)
    return canvas.image


def _draw_segm(canvas: Canvas, annotation: Mapping[str, Any], box: Sequence[float]) -> None:
    segm = DensePoseDataRelative.extract_segmentation_mask(annotation)
    if segm is None:
        return
    x0, y0, x1, y1 = (round(v * canvas.scale) for v in box)
    size = max(1, x1 - x0), max(1, y1 - y0)
    labels = np.asarray(Image.fromarray(segm.numpy().astype(np.uint8)).resize(size, Image.Resampling.NEAREST))
    colors = parula(labels / DensePoseDataRelative.N_BODY_PARTS)
    canvas.paint(colors, ALPHA * (labels > 0), x0=x0, y0=y0)


def _draw_points(canvas: Canvas, annotation: Mapping[str, Any], box: Sequence[float], kind: Kind) -> None:
    x, y = (np.asarray(annotation[f"dp_{k}"], dtype=np.float64) for k in "xy")
    x, y = x / DensePoseDataRelative.MASK_SIZE, y / DensePoseDataRelative.MASK_SIZE
    x, y = box[0] + x * (box[2] - box[0]), box[1] + y * (box[3] - box[1])
    colors = [POINT_COLOR] * len(x)
    key, most = {"dp_i": ("dp_I", 24), "dp_u": ("dp_U", 1), "dp_v": ("dp_V", 1)}.get(kind, ("", 1))
    if annotation.get(key) is not None:
        colors = [tuple(c) for c in parula(np.asarray(annotation[key]) / most).tolist()]
    for point, color in zip(zip(x, y, strict=True), colors, strict=True):
        canvas.dot(point, color)


if __name__ == "__main__":
    raise SystemExit(main())
