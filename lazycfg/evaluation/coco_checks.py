"""Whether detections and annotations belong together."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from operator import itemgetter
from typing import Any

__all__ = ["FIELDS", "check_detections", "check_mask_sizes", "check_truth"]

FIELDS = {"bbox": "bbox", "segm": "segmentation", "keypoints": "keypoints"}


def check_detections(
    truth: Mapping[str, Any],
    detections: Sequence[Mapping[str, Any]],
    iou_type: str,
    sigmas: Sequence[float] = (),
) -> None:
    """Raise ValueError if detections and annotations do not belong together, see `coco_scores`."""
    check_truth(truth, iou_type, sigmas)
    field = FIELDS[iou_type]
    images = {image["id"] for image in truth["images"]}
    categories = {category["id"] for category in truth["categories"]}
    for index, detection in enumerate(detections):
        _check_detection(index, detection, field, iou_type, images, categories)


def _check_detection(
    index: int,
    detection: Mapping[str, Any],
    field: str,
    iou_type: str,
    images: Collection[Any],
    categories: Collection[Any],
) -> None:
    for name in (field, "image_id", "category_id", "score"):
        if name not in detection:
            have = ", ".join(detection)
            raise ValueError(f"detection {index} has no {name!r}, needed for {iou_type!r}; it has {have}")
    if detection["image_id"] not in images:
        raise ValueError(f"detection {index} is on image {detection['image_id']!r}, not one of the dataset's")
    if detection["category_id"] not in categories:
        raise ValueError(
            f"detection {index} is of category {detection['category_id']}; the annotations have "
            f"{len(categories)} categories from {min(categories, default=None)} to "
            f"{max(categories, default=None)}"
        )
    if not math.isfinite(detection["score"]):
        raise ValueError(
            f"detection {index} on image {detection['image_id']!r} has the score {detection['score']}; "
            "expected a finite number"
        )


def check_truth(truth: Mapping[str, Any], iou_type: str, sigmas: Sequence[float] = ()) -> None:
    """Raise ValueError if there is no such `iou_type`, or the annotations lack what it takes."""
    if iou_type not in FIELDS:
        raise ValueError(f"iou_type={iou_type!r}: expected 'bbox', 'segm' or 'keypoints'")
    field, annotations = FIELDS[iou_type], truth["annotations"]
    ids = [category["id"] for category in truth["categories"]]
    if len(set(ids)) < len(ids):
        twice = next(number for number in ids if ids.count(number) > 1)
        raise ValueError(f"two categories have the id {twice!r}: give each one of its own")
    lacking = [a for a in annotations if not a.get(field)]
    # Objects without keypoints are left out of that evaluation, but there must be some with.
    if lacking and (iou_type != "keypoints" or len(lacking) == len(annotations)):
        raise ValueError(
            f"{len(lacking)} of {len(annotations)} annotations have no {field!r} (the first on "
            f"image {lacking[0]['image_id']!r}), so {iou_type!r} cannot be evaluated"
        )
    without_area = next((a for a in annotations if "area" not in a), None)
    if without_area is not None:
        raise ValueError(
            f"an annotation on image {without_area['image_id']!r} has no 'area' (pixels), by which objects "
            "are small, medium or large"
        )
    if iou_type == "keypoints" and annotations:
        count = max(len(a.get("keypoints", ())) for a in annotations) // 3
        expected = len(sigmas) or 17
        if count != expected:
            raise ValueError(
                f"the annotations have {count} keypoints and kpt_oks_sigmas has {expected}"
                + ("" if sigmas else " (COCO's): give one sigma per keypoint")
            )


def check_mask_sizes(truth: Mapping[str, Any], detections: Sequence[Mapping[str, Any]]) -> None:
    """Raise ValueError if a mask is not of the size of its image, or an image with polygons has no size."""
    sizes = {i["id"]: [i["height"], i["width"]] for i in truth["images"] if "height" in i and "width" in i}
    if len(sizes) < len(truth["images"]):
        for annotation in truth["annotations"]:
            if annotation["image_id"] not in sizes and not isinstance(annotation["segmentation"], Mapping):
                raise ValueError(
                    f"image {annotation['image_id']!r} has no height and width, which its polygons need"
                )
    found = list(map(itemgetter("size"), map(itemgetter("segmentation"), detections)))
    if found == list(map(sizes.get, map(itemgetter("image_id"), detections))):
        return  # six times as fast as a loop
    for index, detection in enumerate(detections):
        size, expected = detection["segmentation"]["size"], sizes.get(detection["image_id"])
        if size != expected and expected is not None and list(size) != expected:
            raise ValueError(
                f"detection {index} has a mask of {size[0]} x {size[1]} pixels, and its image "
                f"{detection['image_id']!r} has {expected[0]} x {expected[1]} (height x width)"
            )
