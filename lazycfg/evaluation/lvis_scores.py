"""LVIS's average precision: COCO's, on images that are annotated for some of the classes only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from lazycfg.evaluation.coco_scores import CocoScores, IouType, coco_scores
from lazycfg.structures.rle import rle_area

__all__ = ["best_of_each_image", "lvis_scores"]

Detection = TypeVar("Detection", bound=Mapping[str, Any])

_BEYOND = 1e6  # pixels: farther out than any box


def best_of_each_image(detections: Sequence[Detection], limit: int) -> list[Detection]:
    """Return the detections without those of an image that score less than `limit` others of it, over all
    classes; of equal ones the first stay. The order is kept."""
    numbers: dict[Any, int] = {}
    images = np.array([numbers.setdefault(d["image_id"], len(numbers)) for d in detections], dtype=np.int64)
    scores = np.array([d["score"] for d in detections], dtype=np.float64)
    order = np.lexsort((-scores, images))  # stable
    sorted_images = images[order]
    rank = np.arange(len(order)) - np.searchsorted(sorted_images, sorted_images)
    keep = np.sort(order[rank < limit])
    return [detections[index] for index in keep.tolist()]


def lvis_scores(
    ground_truth: Mapping[str, Any],
    detections: Sequence[Mapping[str, Any]],
    iou_type: IouType,
    *,
    max_dets: int = 300,
    img_ids: Sequence[Any] | None = None,
) -> CocoScores:
    """Compute precision and recall as LVIS defines them (Gupta et al., 2019, arXiv:1908.03195).

    They are COCO's, but for three rules: of an image the `max_dets` best detections count, over all classes;
    a detection of a class that was not looked for in its image does not count; and one that matches nothing
    is no mistake where not every object of its class is annotated.

    Args:
        ground_truth: as an annotation file of LVIS: an image may have "neg_category_ids", classes that are
            not in it, and "not_exhaustive_category_ids". Classes that are in neither of them and have no
            annotation in the image were not looked for.
        detections: as a results file of COCO.
        iou_type: "bbox" or "segm".
        max_dets: detections of an image.
        img_ids: look at these images only.

    Raises:
        ImportError, ValueError: see `coco_scores`.
    """
    wanted = None if img_ids is None else set(img_ids)
    images = [image for image in ground_truth["images"] if wanted is None or image["id"] in wanted]
    annotations = [a for a in ground_truth["annotations"] if wanted is None or a["image_id"] in wanted]
    looked_for = {(image["id"], number) for image in images for number in image.get("neg_category_ids", ())}
    looked_for.update(map(_pair, annotations))
    partly = {(i["id"], number) for i in images for number in i.get("not_exhaustive_category_ids", ())}
    known_images = {image["id"] for image in ground_truth["images"]}
    known_categories = {category["id"] for category in ground_truth["categories"]}
    counted = [
        detection
        for detection in best_of_each_image(detections, max_dets)
        if (
            _pair(detection) in looked_for
            # What covers nothing matches nothing, not even the crowds below.
            and (_pair(detection) not in partly or _covers(detection, iou_type))
        )
        # `coco_scores` refuses these:
        or detection["image_id"] not in known_images
        or detection["category_id"] not in known_categories
    ]
    partly &= {_pair(detection) for detection in counted}
    sizes = {image["id"]: (image["height"], image["width"]) for image in images}
    first_free = 1 + max((annotation["id"] for annotation in annotations), default=0)
    # COCO's rule of crowds is that of these classes: what matches no object matches a crowd all over the
    # image, and is not counted. A crowd counts as no object.
    crowds = [
        {
            "id": number_of_annotation,
            "image_id": image_id,
            "category_id": number,
            "iscrowd": 1,
            "bbox": [-_BEYOND, -_BEYOND, 2 * _BEYOND, 2 * _BEYOND],
            "area": 0.0,
            "segmentation": {
                "size": list(sizes[image_id]),
                "counts": [0, sizes[image_id][0] * sizes[image_id][1]],
            },
        }
        for number_of_annotation, (image_id, number) in enumerate(sorted(partly, key=str), first_free)
    ]
    return coco_scores(
        {**ground_truth, "images": images, "annotations": [*annotations, *crowds]},
        counted,
        iou_type,
        max_dets=(max_dets,),
    )


def _pair(entry: Mapping[str, Any]) -> tuple[Any, Any]:
    return entry["image_id"], entry["category_id"]


def _covers(detection: Mapping[str, Any], iou_type: str) -> bool:
    """Return whether a detection covers anything."""
    if iou_type == "segm" and "segmentation" in detection:
        return rle_area(detection["segmentation"]) > 0
    return iou_type != "bbox" or "bbox" not in detection or min(detection["bbox"][2:4]) > 0
