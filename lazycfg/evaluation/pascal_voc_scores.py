"""PASCAL VOC's average precision."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

__all__ = ["VocMetric", "area_under_curve", "average_precision", "voc_overlaps"]

VocMetric = Literal["11-point", "area"]


def voc_overlaps(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return (D, G), intersection over union.

    Boxes (D, 4) and (G, 4) are XYXY in pixels, whose last pixel belongs to them: they are ``x1 - x0 + 1``
    wide.
    """
    low = np.maximum(found[:, None, :2], true[:, :2])
    high = np.minimum(found[:, None, 2:], true[:, 2:])
    both = (high - low + 1).clip(0).prod(axis=2)
    area, other = ((b[:, 2:] - b[:, :2] + 1).prod(axis=1) for b in (found, true))
    return both / (area[:, None] + other - both)


def average_precision(right: np.ndarray, wrong: np.ndarray, num_objects: int, metric: VocMetric) -> float:
    """Return the average precision of one class in [0, 1]; NaN without objects.

    Args:
        right, wrong: (D,) bool of detections by falling score; those that are neither do not count.
        num_objects: how many there are to be found.
        metric: "11-point", the mean over recall 0, 0.1, ..., 1 of the highest precision at this recall or a
            higher one (VOC 2007); or "area", the area under that curve (from VOC 2010 on).
    """
    if metric == "area" or num_objects == 0:
        return area_under_curve(right, wrong, num_objects)
    precision, recall = _curve(right, wrong, num_objects)
    points = [precision[recall >= level] for level in np.arange(0.0, 1.1, 0.1)]
    return sum(float(p.max()) if len(p) else 0.0 for p in points) / 11


def _curve(right: np.ndarray, wrong: np.ndarray, num_objects: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (D,) precision and recall with the first detection, the first two, ..."""
    hits, misses = np.cumsum(right), np.cumsum(wrong)
    return hits / np.maximum(hits + misses, np.finfo(np.float64).eps), hits / num_objects


def area_under_curve(right: np.ndarray, wrong: np.ndarray, num_objects: int) -> float:
    """Return the area under the highest precision at each recall or a higher one; NaN without objects.

    Args:
        right, wrong: (D,) bool of detections by falling score; those that are neither do not count.
    """
    if num_objects == 0:
        return math.nan
    precision, recall = _curve(right, wrong, num_objects)
    recall = np.concatenate(([0.0], recall, [1.0]))
    envelope = np.maximum.accumulate(np.concatenate(([0.0], precision, [0.0]))[::-1])[::-1]
    steps = np.flatnonzero(recall[1:] != recall[:-1])
    return float(((recall[steps + 1] - recall[steps]) * envelope[steps + 1]).sum())
