"""Looking at all of a data set: what there is of each class, and every fault of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lazycfg.structures import BoxMode

from ..image import ImageError, read_image_size
from .base import describe, get_annotations, get_image_sizes
from .coco_panoptic import CocoPanopticDataset
from .coco_validation import grouped
from .label_maps import read_labels, read_segment_ids
from .plausibility import is_same

SIZES = (("small", 32**2), ("medium", 96**2), ("large", float("inf")))
"""COCO's names of sizes of objects, and their upper bounds in square pixels."""


@dataclass
class Inspection:
    """What a data set holds.

    Attributes:
        classes: names, of things or else of pixels.
        num_images, num_empty, num_objects, num_crowd: images, those without objects, objects, crowd regions.
        objects: number of objects by class; of pixels for maps of labels.
        images: number of images with a class.
        sizes: number of objects by class and name of size (`SIZES`).
        image_sizes: number of images by (height, width).
        faults: everything that cannot be used, in words that name the record; each was left out.
        duplicates: places (record, annotation) of objects that are annotated twice, which are faults, too.
        warnings: what looks wrong with all of it.
        pixels: the classes are of pixels.
    """

    classes: tuple[str, ...]
    num_images: int = 0
    num_empty: int = 0
    num_objects: int = 0
    num_crowd: int = 0
    objects: Counter[int] = field(default_factory=Counter)
    images: Counter[int] = field(default_factory=Counter)
    sizes: Counter[tuple[int, str]] = field(default_factory=Counter)
    image_sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    duplicates: set[tuple[int, int]] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)
    pixels: bool = False


def inspect_dataset(dataset: Any) -> Inspection:
    """Go through all records of a data set that was made with ``on_error="skip"``."""
    if isinstance(dataset, CocoPanopticDataset):
        return _inspect_panoptic(dataset)
    metadata = dataset.metadata
    pixels = not metadata.thing_classes and bool(metadata.stuff_classes)
    result = Inspection(metadata.stuff_classes if pixels else metadata.thing_classes, pixels=pixels)
    result.num_images = len(dataset)
    result.image_sizes.update((int(h), int(w)) for h, w in get_image_sizes(dataset))
    result.faults += grouped(getattr(dataset, "faults", ()))
    files: dict[Any, int] = {}
    for index in range(len(dataset)):
        record = get_annotations(dataset, index)
        name = record.get("file_name")
        if name is not None and files.setdefault(name, index) != index:
            result.faults.append(f"{describe(record, index)}: its file is that of record {files[name]}, too")
        if pixels:
            _count_pixels(dataset[index], result)
        else:
            _count_objects(record, index, result)
    told = ("listed as two images or more", "annotated twice")
    result.warnings += [w for w in getattr(dataset, "warnings", ()) if not w.startswith(told)]
    return result


def _inspect_panoptic(dataset: CocoPanopticDataset) -> Inspection:
    """Compare the segments of each image with the pixels of its PNG file."""
    result = Inspection(dataset.metadata.stuff_classes, num_images=len(dataset))
    result.image_sizes.update((int(h), int(w)) for h, w in get_image_sizes(dataset))
    result.faults += grouped(dataset.faults)
    for index in range(len(dataset)):
        record = get_annotations(dataset, index)
        where = describe(record, index)
        try:
            size_of_image = read_image_size(record["file_name"])
            ids = read_segment_ids(record["pan_seg_file_name"])
        except (ImageError, OSError) as error:
            result.faults.append(f"{where}: {error}")
            continue
        for file, size in ((record["file_name"], size_of_image), (record["pan_seg_file_name"], ids.shape)):
            if size != (record["height"], record["width"]):
                result.faults.append(
                    f"{where}: {file} is {size[1]}x{size[0]} (width x height), and the record says "
                    f"{record['width']}x{record['height']}"
                )
        _count_segments(record["segments_info"], ids, where, result)
    return result


def _count_segments(segments: list[dict[str, Any]], ids: np.ndarray, where: str, result: Inspection) -> None:
    values, counts = np.unique(ids, return_counts=True)
    pixels = dict(zip(values.tolist(), counts.tolist(), strict=True))
    classes = set()
    for segment in segments:
        area, label = pixels.pop(segment["id"], 0), segment["label"]
        name = f"{where}: segment {segment['id']} ({result.classes[label]})"
        if not area:
            result.faults.append(f"{name} has no pixels in the PNG file")
        elif segment.get("area", area) != area:
            result.faults.append(f"{name} has {area} pixels, and its area is {segment['area']}")
        if segment["iscrowd"]:
            result.num_crowd += 1
            continue
        result.num_objects += 1
        result.objects[label] += 1
        result.sizes[label, next(size for size, bound in SIZES if area < bound)] += 1
        classes.add(label)
    pixels.pop(0, None)  # of no segment
    for number, area in pixels.items():
        result.faults.append(
            f"{where}: {area} pixels of the PNG file are of segment {number}, which segments_info has not"
        )
    result.num_empty += not classes
    result.images.update(classes)


def _count_objects(record: dict[str, Any], index: int, result: Inspection) -> None:
    seen: dict[Any, list[tuple[int, dict[str, Any]]]] = {}
    classes = set()
    for number, annotation in enumerate(record.get("annotations", ())):
        if annotation.get("iscrowd", 0):
            result.num_crowd += 1
            continue
        category = annotation["category_id"]
        alike = seen.setdefault((category, *map(float, annotation["bbox"])), [])
        first = next((n for n, other in alike if is_same(annotation, other)), None)
        alike.append((number, annotation))
        if first is not None:
            result.duplicates.add((index, number))
            name = result.classes[category]
            result.faults.append(
                f"{describe(record, index)}: object {number} ({name}) is object {first} once more: the same "
                "class, box and mask"
            )
        result.num_objects += 1
        result.objects[category] += 1
        classes.add(category)
        result.sizes[category, _size(annotation)] += 1
    result.num_empty += not classes
    result.images.update(classes)


def _count_pixels(record: dict[str, Any], result: Inspection) -> None:
    labels = record["sem_seg"] if "sem_seg" in record else read_labels(record["sem_seg_file_name"])
    values, counts = np.unique(labels, return_counts=True)
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        if value < len(result.classes):
            result.objects[value] += count
            result.images[value] += 1


def _size(annotation: dict[str, Any]) -> str:
    area = annotation.get("area")
    if area is None:
        box = list(annotation["bbox"])
        if annotation["bbox_mode"] == BoxMode.XYXY_ABS:
            box = BoxMode.convert(box, BoxMode.XYXY_ABS, BoxMode.XYWH_ABS)
        area = box[2] * box[3]
    return next(name for name, bound in SIZES if area < bound)
