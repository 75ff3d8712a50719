"""Writing what of a data set can be used as COCO files, whole or split in two."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from lazycfg.utils import atomic_write

from .base import get_annotations
from .coco import CocoDataset
from .coco_export import convert_to_coco_dict
from .coco_panoptic import CocoPanopticDataset
from .coco_validation import is_whole

_KEPT = ("difficult", "truncated", "occluded")


def fixed_coco(
    dataset: Any, without: Iterable[tuple[int, int]], folder: Path, without_images: Collection[int] = ()
) -> dict[str, Any]:
    """Return the records of a data set as the content of a COCO file.

    Args:
        without: places (record, annotation) of objects to leave out.
        folder: in which the file is to be; names of images start from there.
        without_images: places of records to leave out whole.

    Raises:
        ValueError: the images are not in files or none can be used, or the data set has no objects.
    """
    if not dataset.metadata.thing_classes:
        raise ValueError("it has classes of pixels, and a COCO file has objects: there is nothing to write")
    if isinstance(dataset, CocoPanopticDataset):
        raise ValueError(
            "it is a panoptic one, whose segments are in PNG files: a COCO file has objects only"
        )
    if "class_image_counts" in dataset.metadata.extra:
        raise ValueError("it is one of LVIS, whose lists of classes a COCO file would lose")
    left_out = set(without)
    data = convert_to_coco_dict(dataset)
    kept, kept_images = [], []
    annotations = iter(data["annotations"])
    images = data["images"]
    numbered = all(is_whole(image["id"]) for image in images)
    for index, image in enumerate(images):
        record = get_annotations(dataset, index)
        if "file_name" not in record:
            raise ValueError("its images are not in files: lazycfg.data.export_coco writes them, too")
        image["file_name"] = Path(os.path.relpath(record["file_name"], folder)).as_posix()
        image["id"] = image["id"] if numbered else index + 1
        for number, original in enumerate(record.get("annotations", ())):
            annotation = next(annotations)
            annotation["image_id"] = image["id"]
            annotation |= {key: original[key] for key in _KEPT if key in original}
            if index not in without_images and (index, number) not in left_out:
                kept.append(annotation)
        if index not in without_images:
            kept_images.append(image)
    if not kept_images:
        raise ValueError("none of its images can be used: there is nothing to write")
    for number, annotation in enumerate(kept, start=1):
        annotation["id"] = number
    return {**data, "images": kept_images, "annotations": kept}


def split_coco(data: dict[str, Any], share: float, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return two COCO files' contents with the images of one, drawn at random.

    Images are drawn from groups of those whose rarest class is the same, so that each class is split as all
    are.

    Args:
        share: of the images that are in the first, between 0 and 1.
        seed: the same gives the same.
    """
    counts = Counter(annotation["category_id"] for annotation in data["annotations"])
    rarest: dict[Any, int] = {}
    for annotation in data["annotations"]:
        image, category = annotation["image_id"], annotation["category_id"]
        if image not in rarest or (counts[category], category) < (counts[rarest[image]], rarest[image]):
            rarest[image] = category
    groups: dict[int | None, list[Any]] = {}
    for image in data["images"]:
        groups.setdefault(rarest.get(image["id"]), []).append(image["id"])
    rng = np.random.default_rng(seed)
    first: set[Any] = set()
    wanted = 0.0  # what a group has too many or too few of is made up for by the next
    for key in sorted(groups, key=lambda key: (len(groups[key]), key is None, key or 0)):
        members = [groups[key][i] for i in rng.permutation(len(groups[key]))]
        wanted += share * len(members)
        count = min(len(members), max(0, round(wanted)))
        wanted -= count
        first.update(members[:count])
    return subset_of(data, first), subset_of(data, {image["id"] for image in data["images"]} - first)


def subset_of(data: dict[str, Any], image_ids: set[Any]) -> dict[str, Any]:
    """Return the content of a COCO file with some of its images."""
    return {
        **data,
        "images": [image for image in data["images"] if image["id"] in image_ids],
        "annotations": [a for a in data["annotations"] if a["image_id"] in image_ids],
    }


def write_coco(data: dict[str, Any], path: Path) -> None:
    """Write a COCO file, whole or not at all, after reading it back without a fault.

    Raises:
        AnnotationError: it has faults, which is a mistake of this program.
        OSError: it cannot be written.
    """
    with atomic_write(path) as temporary:
        Path(temporary).write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
        CocoDataset(json_file=temporary, image_root=path.parent, name=path.stem)
