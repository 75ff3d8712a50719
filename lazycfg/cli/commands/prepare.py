"""The command `prepare`: make the files that some data sets need besides those of their archives."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lazycfg.cli.common import CommandError, say
from lazycfg.data import AnnotationError, ImageError
from lazycfg.data.datasets.coco_files import read_coco_json
from lazycfg.data.datasets.fixed_coco import subset_of
from lazycfg.data.datasets.label_maps import labels_of_segments, read_labels, read_segment_ids
from lazycfg.data.datasets.panoptic_classes import panoptic_metadata, segments_with_labels
from lazycfg.utils import atomic_write

__all__ = ["prepare"]

# WordNet's names of the categories of LVIS that are COCO's, and COCO's ids of these
COCO_IDS = {
    "person.n.01": 1, "bicycle.n.01": 2, "car.n.01": 3, "motorcycle.n.01": 4, "airplane.n.01": 5,
    "bus.n.01": 6, "train.n.01": 7, "truck.n.01": 8, "boat.n.01": 9, "traffic_light.n.01": 10,
    "fireplug.n.01": 11, "stop_sign.n.01": 13, "parking_meter.n.01": 14, "bench.n.01": 15, "bird.n.01": 16,
    "cat.n.01": 17, "dog.n.01": 18, "horse.n.01": 19, "sheep.n.01": 20, "beef.n.01": 21,
    "elephant.n.01": 22, "bear.n.01": 23, "zebra.n.01": 24, "giraffe.n.01": 25, "backpack.n.01": 27,
    "umbrella.n.01": 28, "bag.n.04": 31, "necktie.n.01": 32, "bag.n.06": 33, "frisbee.n.01": 34,
    "ski.n.01": 35, "snowboard.n.01": 36, "ball.n.06": 37, "kite.n.03": 38, "baseball_bat.n.01": 39,
    "baseball_glove.n.01": 40, "skateboard.n.01": 41, "surfboard.n.01": 42, "tennis_racket.n.01": 43,
    "bottle.n.01": 44, "wineglass.n.01": 46, "cup.n.01": 47, "fork.n.01": 48, "knife.n.01": 49,
    "spoon.n.01": 50, "bowl.n.03": 51, "banana.n.02": 52, "apple.n.01": 53, "sandwich.n.01": 54,
    "orange.n.01": 55, "broccoli.n.01": 56, "carrot.n.01": 57, "frank.n.02": 58, "pizza.n.01": 59,
    "doughnut.n.02": 60, "cake.n.03": 61, "chair.n.01": 62, "sofa.n.01": 63, "pot.n.04": 64, "bed.n.01": 65,
    "dining_table.n.01": 67, "toilet.n.02": 70, "television_receiver.n.01": 72, "laptop.n.01": 73,
    "mouse.n.04": 74, "remote_control.n.01": 75, "computer_keyboard.n.01": 76,
    "cellular_telephone.n.01": 77, "microwave.n.02": 78, "oven.n.01": 79, "toaster.n.02": 80,
    "sink.n.01": 81, "electric_refrigerator.n.01": 82, "book.n.01": 84, "clock.n.01": 85, "vase.n.01": 86,
    "scissors.n.01": 87, "teddy.n.01": 88, "hand_blower.n.01": 89, "toothbrush.n.01": 90,
}  # fmt: skip


def prepare(arguments: argparse.Namespace) -> int:
    """Make what is asked for, and print what was made.

    Raises:
        CommandError: there are words that it does not take.
    """
    if words := getattr(arguments, "words", []):
        raise CommandError(f"prepare {arguments.kind} takes one file or folder; got {words[0]!r} too")
    make = {
        "panoptic-to-semantic": _panoptic_to_semantic,
        "ade20k": _ade20k,
        "cocofied-lvis": _cocofied_lvis,
        "coco-subset": _coco_subset,
    }[arguments.kind]
    try:
        say(make(arguments))
    except (AnnotationError, ImageError) as error:
        if arguments.traceback:
            raise
        raise CommandError(str(error)) from error
    return 0


def _panoptic_to_semantic(args: argparse.Namespace) -> str:
    """Write maps in which 0 is all things, stuff 1, 2, ... and 255 what is neither, of panoptic PNG files."""
    file = Path(args.json_file)
    data = read_coco_json(file)
    root = Path(args.panoptic_root or _beside(file))
    output = Path(args.output or root.with_name(root.name.replace("panoptic_", "panoptic_stuff_", 1)))
    if output.resolve() == root.resolve():
        raise AnnotationError(f"{output} is the folder of the panoptic maps: give --output")
    metadata = panoptic_metadata(data["categories"], separated=True)
    for number, entry in enumerate(data["annotations"], start=1):
        try:
            name, (_, label_of_id) = (
                entry["file_name"],
                segments_with_labels(entry["segments_info"], metadata),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise AnnotationError(
                f"{file}: annotations[{number - 1}] is no panoptic one: {error!r}"
            ) from error
        ids = read_segment_ids(root / name)
        _write_png(labels_of_segments(ids, label_of_id), output / name)
        _progress(number, len(data["annotations"]))
    return f"{len(data['annotations'])} maps in {output}"


def _ade20k(args: argparse.Namespace) -> str:
    """Write the maps of ``annotations`` less 1 to ``annotations_detectron2``; 0 becomes 255."""
    root = Path(args.root)
    files = sorted((root / "annotations").rglob("*.png"))
    if not files:
        raise FileNotFoundError(f"no PNG files below {root / 'annotations'}")
    for number, file in enumerate(files, start=1):
        labels = read_labels(file)
        if labels.max(initial=0) > 150:
            raise ImageError(f"{file} has the label {labels.max()}; ADE20K's are 0 to 150")
        moved = (labels.astype(np.int16) - 1).astype(np.uint8)  # -1 becomes 255
        _write_png(moved, root / "annotations_detectron2" / file.relative_to(root / "annotations"))
        _progress(number, len(files))
    return f"{len(files)} maps in {root / 'annotations_detectron2'}"


def _cocofied_lvis(args: argparse.Namespace) -> str:
    """Write a file of LVIS with COCO's categories only, under COCO's ids."""
    file = Path(args.json_file)
    data = read_coco_json(file)
    try:
        synsets = {entry["id"]: entry["synset"] for entry in data["categories"]}
        ids = {number: COCO_IDS[synset] for number, synset in synsets.items() if synset in COCO_IDS}
        annotations = [
            {**entry, "category_id": ids[entry["category_id"]]}
            for entry in data["annotations"]
            if entry["category_id"] in ids
        ]
        images = [
            {**image, **{key: [ids[i] for i in image[key] if i in ids] for key in _LISTS if key in image}}
            for image in data["images"]
        ]
    except (KeyError, TypeError) as error:
        raise AnnotationError(f"{file} is no file of LVIS: {error!r}") from error
    for number, entry in enumerate(annotations, start=1):
        entry["id"] = number
    used = {entry["category_id"] for entry in annotations}
    used |= {number for image in images for key in _LISTS for number in image.get(key, ())}
    categories = {
        ids[entry["id"]]: {**entry, "id": ids[entry["id"]]}
        for entry in data["categories"]
        if ids.get(entry["id"]) in used
    }
    result = {**data, "images": images, "annotations": annotations, "categories": list(categories.values())}
    output = Path(args.output or file.with_stem(f"{file.stem}_cocofied"))
    _write_json(result, output)
    kept = f"{len(annotations)} of {len(data['annotations'])} annotations"
    return f"{kept}, {len(categories)} categories in {output}"


_LISTS = ("neg_category_ids", "not_exhaustive_category_ids")


def _coco_subset(args: argparse.Namespace) -> str:
    """Write a file with some of the images of a COCO file, drawn at random but the same each time."""
    file = Path(args.json_file)
    data = read_coco_json(file)
    ids = sorted(image["id"] for image in data["images"])
    if not 0 < args.number <= len(ids):
        raise AnnotationError(
            f"{file} has {len(ids)} images: --number must be 1 to {len(ids)}, got {args.number}"
        )
    drawn = np.random.default_rng(args.seed).choice(len(ids), size=args.number, replace=False)
    subset = subset_of(data, {ids[i] for i in drawn})
    output = Path(args.output or file.with_stem(f"{file.stem}_{args.number}"))
    _write_json(subset, output)
    return f"{len(subset['images'])} images, {len(subset['annotations'])} annotations in {output}"


def _beside(file: Path) -> Path:
    """Return the folder of PNG files of a panoptic file: of its name, beside it or beside its folder."""
    for folder in (file.parent / file.stem, file.parent.parent / file.stem):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"no folder {file.stem!r} beside {file} or its folder: give --panoptic-root")


def _write_png(labels: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        Image.fromarray(labels.astype(np.uint8)).save(temporary, "PNG")


def _write_json(data: dict[str, Any], path: Path) -> None:
    if path.exists():
        raise FileExistsError(f"{path} is there already: it is not overwritten")
    with atomic_write(path) as temporary:
        Path(temporary).write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty() and (done % 50 == 0 or done == total):
        print(f"\r{done} of {total}", end="\n" if done == total else "", file=sys.stderr, flush=True)
