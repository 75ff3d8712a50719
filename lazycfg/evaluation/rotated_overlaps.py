"""Overlaps of rotated boxes, in the form that COCO's evaluation asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter, methodcaller
from typing import Any

import numpy as np
import torch

from lazycfg.structures import BoxMode, pairwise_iou_rotated

__all__ = ["has_rotated_boxes", "rotated_overlaps"]


def has_rotated_boxes(entries: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether any "bbox" has five numbers."""
    try:
        boxes = set(map(len, map(itemgetter("bbox"), entries)))
    except KeyError:  # some have none; asking each costs twice the time
        boxes = set(map(len, map(methodcaller("get", "bbox", ()), entries)))
    return 5 in boxes


def rotated_overlaps(evaluation: Any) -> Callable[[Any, Any], Any]:
    """Return a replacement of ``computeIoU`` of a COCO evaluation.

    Returns:
        a function of image and category to a matrix (detections, objects) of rotated IoU, the detections by
        falling score, no more than count. Of a crowd it is the part of the detection that lies in it.
    """

    def compute(image_id: Any, category_id: Any) -> Any:
        params = evaluation.params
        categories = [category_id] if params.useCats else params.catIds
        objects, detections = (
            dataset.get_instances([image_id], categories, bool(params.useCats))[0][0]
            for dataset in (evaluation.gt_dataset, evaluation.dt_dataset)
        )
        if len(objects) == 0 or len(detections) == 0:
            return []
        order = np.argsort([-found["score"] for found in detections], kind="stable")
        detections = [detections[i] for i in order[: params.maxDets[-1]]]
        found, truth = _boxes(detections), _boxes(objects)
        overlaps = pairwise_iou_rotated(found, truth).double()
        crowd = torch.tensor([bool(entry.get("iscrowd", 0)) for entry in objects])
        if crowd.any():
            area, other = (boxes[:, 2] * boxes[:, 3] for boxes in (found, truth))
            shared = overlaps / (1 + overlaps) * (area[:, None] + other)
            overlaps = torch.where(crowd, shared / area[:, None].clamp(min=1e-12), overlaps)
        return overlaps.numpy()

    return compute


def _boxes(entries: Sequence[Mapping[str, Any]]) -> torch.Tensor:
    """Return boxes (N, 5) float64; a "bbox" of four numbers is XYWH."""
    boxes = [list(entry["bbox"]) for entry in entries]
    rows = [b if len(b) == 5 else BoxMode.convert(b, BoxMode.XYWH_ABS, BoxMode.XYWHA_ABS) for b in boxes]
    return torch.tensor(rows, dtype=torch.float64)
