"""What can be wrong with an annotation of a COCO file."""

from __future__ import annotations

import math
from collections.abc import Container
from typing import Any

from lazycfg.structures import BoxMode


class AnnotationError(ValueError):
    """A record of an annotation file that cannot be used; the message names file, picture and annotation."""


def image_problem(image: dict[str, Any]) -> str | None:
    """What is wrong with an entry of "images", in words; None if nothing is."""
    for key in ("id", "file_name", "width", "height"):
        if key not in image:
            return f"it has no {key!r}"
    for key in ("width", "height"):
        if not isinstance(image[key], int | float) or not math.isfinite(image[key]) or image[key] <= 0:
            return f"{key} must be positive, got {image[key]!r}"
    return None


def annotation_problem(
    annotation: dict[str, Any],
    image: dict[str, Any],
    category_ids: Container[int],
    num_keypoints: int,
    need_bbox: bool = True,
) -> str | None:
    """What is wrong with an entry of "annotations" of `image`, in words; None if nothing is."""
    if annotation.get("category_id") not in category_ids:
        return f"category_id {annotation.get('category_id')!r} is not among the file's categories"
    if annotation.get("iscrowd", 0) not in (0, 1):
        return f"iscrowd must be 0 or 1, got {annotation['iscrowd']!r}"
    if "bbox" in annotation or need_bbox:
        problem = _bbox_problem(annotation.get("bbox"), image["width"], image["height"])
        if problem:
            return problem
    segmentation = annotation.get("segmentation")
    if segmentation:
        problem = _segmentation_problem(segmentation, image["width"], image["height"])
        if problem:
            return problem
    keypoints = annotation.get("keypoints")
    if keypoints:
        return _keypoints_problem(keypoints, num_keypoints)
    return None


def kind_of_problem(problem: str) -> str:
    """The words of a problem without its numbers, for counting."""
    for mark in (" [", ":", ", got", " (["):
        problem = problem.split(mark, 1)[0]
    return "".join("N" if c.isdigit() else c for c in problem)


def _bbox_problem(bbox: Any, width: float, height: float) -> str | None:
    if not isinstance(bbox, list | tuple) or len(bbox) not in (4, 5):
        return f"bbox must be [x, y, width, height] (or [xc, yc, width, height, angle]), got {bbox!r}"
    if not all(isinstance(v, int | float) and math.isfinite(v) for v in bbox):
        return f"bbox has values that are not finite numbers: {bbox}"
    form = "[x, y, width, height]" if len(bbox) == 4 else "[xc, yc, width, height, angle]"
    if bbox[2] <= 0 or bbox[3] <= 0:
        return f"bbox {bbox} ({form}) has no area"
    x, y, w, h = bbox[:4]
    if len(bbox) == 5:  # of its upright hull
        x, y, w, h = BoxMode.convert(list(bbox), BoxMode.XYWHA_ABS, BoxMode.XYWH_ABS)
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        return f"bbox {bbox} ({form}) lies outside the picture of {width}x{height}"
    return None


def _segmentation_problem(segmentation: Any, width: float, height: float) -> str | None:
    if isinstance(segmentation, dict):
        if "counts" not in segmentation or "size" not in segmentation:
            return f"RLE segmentation needs 'size' and 'counts', has {sorted(segmentation)}"
        if list(segmentation["size"]) != [height, width]:
            return (
                f"RLE segmentation is of size {segmentation['size']} ([height, width]), the picture of "
                f"{[height, width]}"
            )
        counts = segmentation["counts"]
        if isinstance(counts, list) and sum(counts) != height * width:
            return f"RLE segmentation has {sum(counts)} pixels, the picture {height * width}"
        return None
    if not isinstance(segmentation, list):
        return f"segmentation must be a list of polygons or an RLE dict, got {type(segmentation).__name__}"
    for polygon in segmentation:
        if not isinstance(polygon, list):
            return "segmentation must be a list of polygons, each a list [x0, y0, x1, y1, ...]"
        if len(polygon) % 2:
            return f"segmentation has a polygon of {len(polygon)} numbers, which is not even"
        if len(polygon) < 6:
            return f"segmentation has a polygon of {len(polygon) // 2} points, fewer than 3"
        # A sum is finite exactly if all its terms are (barring overflow), and is fast.
        if not math.isfinite(math.fsum(polygon)):
            return "segmentation has values that are not finite numbers"
    return None


def _keypoints_problem(keypoints: Any, num_keypoints: int) -> str | None:
    if not isinstance(keypoints, list) or len(keypoints) % 3:
        return f"keypoints must be a list [x, y, visibility, ...], its length is {len(keypoints)}"
    if num_keypoints and len(keypoints) != 3 * num_keypoints:
        return f"it has {len(keypoints) // 3} keypoints, its category {num_keypoints}"
    return None
