"""The command `data`: what a data set holds, everything that is wrong with it, a COCO file without that."""

from __future__ import annotations

import argparse
import contextlib
import inspect
import logging
import os
import re
import textwrap
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lazycfg.cli.common import CommandError, say

if TYPE_CHECKING:
    from lazycfg.data.datasets.inspection import Inspection
    from lazycfg.data.datasets.readers.recognise import Part

__all__ = ["data"]

_WIDTH = 80


def data(arguments: argparse.Namespace) -> int:
    """Print what a data set holds; the exit status is 1 if anything is wrong with it.

    Raises:
        CommandError: the options do not go together.
    """
    from lazycfg.data.datasets.coco_validation import AnnotationError
    from lazycfg.data.datasets.readers.recognise import choose_part, find_parts

    share = _share(arguments)
    if arguments.words:
        raise CommandError(f"data takes one file or folder, and options; got {arguments.words[0]!r} too")
    try:
        parts = find_parts(arguments.path, arguments.format)
        if arguments.part is not None:
            parts = [choose_part(parts, arguments.part, arguments.path)]
    except AnnotationError as error:  # of the data, and not of the command line
        if arguments.traceback:
            raise
        _paragraph(f"{arguments.path} cannot be read: {error}")
        return 1
    except ValueError as error:
        raise CommandError(str(error)) from error
    if share is not None and len(parts) > 1:
        names = ", ".join(part.name for part in parts)
        raise CommandError(f"{arguments.path} is split already ({names}): give one of them as --part")
    targets = {part: _targets(part, arguments, share, len(parts) > 1) for part in parts}
    for file in (file for files in targets.values() for file in files):
        if file.exists():
            raise CommandError(f"{file} is there already: it is not overwritten")
    with _quiet():
        wrong = sum(_look_at(part, arguments, share, targets[part]) for part in parts)
    if wrong:
        say(f"{wrong} thing{'s are' if wrong > 1 else ' is'} wrong")
    else:
        say("nothing is wrong")
    return 1 if wrong else 0


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the log of the library off the terminal: what it would say is printed here."""
    log, handler = logging.getLogger("lazycfg"), logging.NullHandler()
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


def _targets(part: Part, arguments: argparse.Namespace, share: float | None, several: bool) -> list[Path]:
    """Return the files that are to be written of a part: none, one, or two for a split."""
    if arguments.fix is None:
        return []
    path = Path(arguments.fix)
    path = path.with_stem(f"{path.stem}_{part.name}") if several and part.name else path
    return [path] if share is None else [path.with_stem(f"{path.stem}_{half}") for half in ("train", "val")]


def _look_at(part: Part, arguments: argparse.Namespace, share: float | None, targets: list[Path]) -> int:
    """Print one part of a data set, and write what is asked for; return the number of faults."""
    from lazycfg.data.datasets.inspection import inspect_dataset
    from lazycfg.utils import counted

    title = f"{arguments.path}{f' ({part.name})' if part.name else ''}: {part.format}"
    try:
        dataset = part.open(**_options(part, arguments))
    except (OSError, ValueError) as error:
        if arguments.traceback:
            raise
        _paragraph(title, "")
        _paragraph(f"cannot be read: {error}")
        return 1
    found = inspect_dataset(dataset)
    _paragraph(f"{title}, {type(dataset).__name__}", "")
    for line in report(found):
        say(line)
    undecodable = _undecodable(dataset) if arguments.decode else {}
    faults = [*found.faults, *undecodable.values()]
    if faults:
        say("")
        say(f"{counted(len(faults), 'fault')}:")
    for fault in faults:
        _paragraph(fault)
    if found.warnings:
        say("")
        say("looks wrong:")
    for warning in found.warnings:
        _paragraph(warning)
    say("")
    if targets:
        _fix(dataset, found, undecodable, targets, share, arguments.seed)
    if arguments.show:
        _show(dataset, arguments.show, Path(arguments.output), part.name)
    return len(faults) + len(found.warnings)


def _share(arguments: argparse.Namespace) -> float | None:
    if arguments.fix is not None and Path(arguments.fix).suffix.lower() != ".json":
        raise CommandError(f"--fix {arguments.fix!r} must be the name of a .json file")
    if arguments.fix is not None and os.path.isdir(arguments.fix):
        raise CommandError(f"--fix {arguments.fix!r} is a folder")
    if arguments.split is None:
        return None
    if arguments.fix is None:
        raise CommandError("--split needs --fix OUT.json: it writes OUT_train.json and OUT_val.json")
    try:
        share = float(arguments.split)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise CommandError(f"--split {arguments.split!r} must be the share for training, such as 0.8")
    return share


def _options(part: Part, arguments: argparse.Namespace) -> dict[str, Any]:
    known = inspect.signature(part.make).parameters
    wanted: dict[str, Any] = {"on_error": "skip", "verify_images": True, "verify": True}
    if arguments.images is not None:
        if "image_root" not in known:
            raise CommandError(
                f"--images is not for the format {part.format}, which says where the images are"
            )
        wanted["image_root"] = arguments.images
    return {key: value for key, value in wanted.items() if key in known}


def report(found: Inspection) -> Iterator[str]:
    """Yield the lines that say what there is."""
    from lazycfg.utils import counted

    images, classes = counted(found.num_images, "image"), counted(len(found.classes), "class")
    if found.pixels:
        yield f"{images}, {classes} of pixels"
    else:
        crowds = f", {counted(found.num_crowd, 'crowd region')}" if found.num_crowd else ""
        objects = counted(found.num_objects, "object")
        yield f"{images} ({found.num_empty:,} without objects), {objects} of {classes}{crowds}"
    if found.image_sizes:
        yield f"images of {_image_sizes(found)} (width x height)"
    yield ""
    yield from _pixel_table(found) if found.pixels else _object_table(found)


def _image_sizes(found: Inspection) -> str:
    common = found.image_sizes.most_common(3)
    if len(found.image_sizes) <= 3:
        return ", ".join(f"{w}x{h} ({n:,})" for (h, w), n in common)
    by_area = sorted(found.image_sizes, key=lambda size: size[0] * size[1])
    (low_h, low_w), (high_h, high_w) = by_area[0], by_area[-1]
    return f"{len(by_area):,} sizes, {low_w}x{low_h} to {high_w}x{high_h}"


def _object_table(found: Inspection) -> Iterator[str]:
    from lazycfg.data.datasets.inspection import SIZES

    yield _row("class", "objects", "images", *(name for name, _ in SIZES))
    for number, name in enumerate(found.classes):
        sizes = (f"{found.sizes[number, size]:,}" for size, _ in SIZES)
        yield _row(name, f"{found.objects[number]:,}", f"{found.images[number]:,}", *sizes)


def _pixel_table(found: Inspection) -> Iterator[str]:
    total = max(1, sum(found.objects.values()))
    yield _row("class", "pixels", "images")
    for number, name in enumerate(found.classes):
        yield _row(name, f"{found.objects[number] / total:.2%}", f"{found.images[number]:,}")


def _row(name: str, *fields: str) -> str:
    room = _WIDTH - 2 - 10 * len(fields)
    name = name if len(name) <= room else f"{name[: room - 3]}..."
    return f"  {name:{room}}" + "".join(f"{field:>10}" for field in fields)


def _paragraph(text: str, bullet: str = "- ") -> None:
    """Print text in lines of at most 80 characters; names longer than that are not broken."""
    wrapper = textwrap.TextWrapper(
        _WIDTH,
        initial_indent=bullet,
        subsequent_indent="  ",
        break_on_hyphens=False,
        break_long_words=False,
    )
    for line in wrapper.wrap(text):
        say(line)


def _undecodable(dataset: Any) -> dict[int, str]:
    """Return what is wrong with images whose pixels cannot be read, by their place in the data set."""
    from lazycfg.data.datasets.base import describe, get_annotations
    from lazycfg.data.image import ImageError

    result = {}
    for index in range(len(dataset)):
        try:
            _image(dataset[index])
        except (ImageError, OSError) as error:
            result[index] = f"{describe(get_annotations(dataset, index), index)}: {error}"
    return result


def _image(record: Any) -> Any:
    """Return what can be shown of an image, (3, H, W) RGB, also of one that has to be read "raw"."""
    from lazycfg.data.image import ImageError
    from lazycfg.data.mapper import DatasetMapper, load_rgb

    try:
        return load_rgb(record)
    except ImageError as error:
        try:
            return load_rgb(record, DatasetMapper(is_train=False, image_format="raw"))
        except ImageError:
            raise error from None


def _fix(
    dataset: Any,
    found: Inspection,
    undecodable: Collection[int],
    targets: list[Path],
    share: float | None,
    seed: int,
) -> None:
    """Write what can be used, and print what was dropped."""
    from lazycfg.data.datasets.coco import CocoDataset
    from lazycfg.data.datasets.fixed_coco import fixed_coco, split_coco, write_coco
    from lazycfg.utils import counted

    try:
        content = fixed_coco(dataset, found.duplicates, targets[0].parent, undecodable)
    except ValueError as error:
        raise CommandError(f"--fix: {error}") from error
    parts = [content] if share is None else split_coco(content, share, seed)
    for file, part in zip(targets, parts, strict=True):
        write_coco(part, file)
        counts = f"{counted(len(part['images']), 'image')}, {counted(len(part['annotations']), 'annotation')}"
        _paragraph(f"wrote {file}: {counts}", "")
    dropped = [f"{count} x {kind}" for kind, count in getattr(dataset, "problems", {}).items()]
    if found.duplicates:
        dropped.append(f"{len(found.duplicates)} x annotation: the same once more")
    if undecodable:
        dropped.append(f"{len(undecodable)} x image: cannot be decoded")
    _paragraph(f"dropped: {', '.join(dropped) or 'nothing'}")
    if found.warnings:
        _paragraph("what only looks wrong is written as it is")
    pairs = getattr(dataset.metadata, "keypoint_flip_map", ())
    if pairs and pairs != CocoDataset(json_file=targets[0]).metadata.keypoint_flip_map:
        _paragraph(
            "a COCO file cannot say which keypoints change sides in a mirrored image: give CocoDataset "
            f"keypoint_flip_map={[list(pair) for pair in pairs]}"
        )


def _show(dataset: Any, number: int, folder: Path, part: str) -> None:
    """Write images with their annotations drawn, spread over the data set."""
    from PIL import Image

    from lazycfg.data.datasets.label_maps import read_labels
    from lazycfg.utils import counted
    from lazycfg.visualization import draw_ground_truth, draw_sem_seg

    folder.mkdir(parents=True, exist_ok=True)
    chosen = sorted({i * len(dataset) // number for i in range(number)} if len(dataset) else ())
    for index in chosen:
        record = dataset[index]
        image = _image(record)
        if "annotations" in record:
            drawn = draw_ground_truth(record, dataset.metadata, image=image)
        else:
            labels = record["sem_seg"] if "sem_seg" in record else read_labels(record["sem_seg_file_name"])
            drawn = draw_sem_seg(image, labels, dataset.metadata)
        name = re.sub(r"\W+", "_", Path(str(record.get("file_name", record["image_id"]))).stem)
        name = "_".join(filter(None, (part, f"{index:06d}", name)))
        Image.fromarray(drawn).save(folder / f"{name}.png")
    _paragraph(f"wrote {counted(len(chosen), 'image')} with annotations to {folder}", "")
