"""How many of the objects a set of proposals covers."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lazycfg.structures import Instances, pairwise_iou

__all__ = ["ImageProposals", "proposal_recall"]

_AREAS = {"": (0.0, 1e10), "s": (0.0, 32.0**2), "m": (32.0**2, 96.0**2), "l": (96.0**2, 1e10)}


@dataclass
class ImageProposals:
    """The proposals of one image, the best first: (N, 4) XYXY in pixels, and their scores (N,)."""

    image_id: Any
    boxes: np.ndarray
    objectness_logits: np.ndarray | None = None

    @staticmethod
    def from_instances(image_id: Any, proposals: Instances) -> ImageProposals:
        """Take over ``proposal_boxes``, in the order of ``objectness_logits``."""
        order = proposals.objectness_logits.argsort(descending=True, stable=True)
        boxes = proposals.proposal_boxes.tensor[order].float().cpu().numpy()
        return ImageProposals(image_id, boxes, proposals.objectness_logits[order].float().cpu().numpy())


def proposal_recall(
    ground_truth: Mapping[str, Any],
    proposals: Sequence[ImageProposals],
    *,
    limits: Sequence[int] = (100, 1000),
) -> dict[str, float]:
    """Average recall over IoU 0.5, 0.55, ..., 0.95, in percent.

    Each object is matched to one proposal, the best pairs first. Crowds do not count.

    Args:
        ground_truth: as a COCO annotation file; `coco_ground_truth` makes it.
        proposals: per image; an image without an entry has none.
        limits: how many proposals per image.

    Returns:
        ``AR@100``, ``ARs@100`` (objects under 32 x 32 pixels), ``ARm@100``, ``ARl@100`` (over 96 x 96), ...
    """
    objects: dict[Any, list[list[float]]] = defaultdict(list)
    areas: dict[Any, list[float]] = defaultdict(list)
    for annotation in ground_truth["annotations"]:
        if not annotation.get("iscrowd", 0):
            x, y, w, h = annotation["bbox"]
            objects[annotation["image_id"]].append([x, y, x + w, y + h])
            areas[annotation["image_id"]].append(annotation["area"])
    by_image = {proposal.image_id: proposal.boxes for proposal in proposals}

    thresholds = np.linspace(0.5, 0.95, 10)
    results = {}
    for limit in limits:
        for suffix, (low, high) in _AREAS.items():
            overlaps = [np.zeros(0)]
            for image_id, boxes in objects.items():
                area = np.asarray(areas[image_id])
                wanted = torch.tensor(boxes)[(area >= low) & (area <= high)]
                found = torch.from_numpy(by_image.get(image_id, np.zeros((0, 4), np.float32))[:limit])
                overlaps.append(_best_overlaps(pairwise_iou(found, wanted).numpy()))
            best = np.concatenate(overlaps)
            recalls = (best[:, None] >= thresholds).mean(axis=0) if len(best) else math.nan
            results[f"AR{suffix}@{limit}"] = 100 * float(np.mean(recalls))
    return results


def _best_overlaps(iou: np.ndarray) -> np.ndarray:
    """For each object (column) the overlap with the proposal (row) it is matched to, 0 without one."""
    best = np.zeros(iou.shape[1])
    iou = iou.copy()
    for _ in range(min(iou.shape)):
        row, column = np.unravel_index(iou.argmax(), iou.shape)
        best[column] = iou[row, column]
        iou[row, :] = -1
        iou[:, column] = -1
    return best
