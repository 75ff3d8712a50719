"""PASCAL VOC's average precision."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

__all__ = ["ClassMatches", "VocMetric", "average_precision", "match_class"]

VocMetric = Literal["11-point", "area"]


@dataclass(frozen=True)
class ClassMatches:
    """What the detections of one class found, by falling score.

    Attributes:
        objects: (D,) int64, the object that each overlaps most, over all images; -1 for none.
        overlaps: (D,) its overlap.
        difficult: (D,) bool, whether that object is one that does not count.
        num_objects: how many objects count.
    """

    objects: np.ndarray
    overlaps: np.ndarray
    difficult: np.ndarray
    num_objects: int


def match_class(
    found: Sequence[np.ndarray],
    scores: Sequence[np.ndarray],
    true: Sequence[np.ndarray],
    difficult: Sequence[np.ndarray],
) -> ClassMatches:
    """Find the object that each detection of a class overlaps most.

    Boxes are XYXY in pixels, whose last pixel belongs to them: they are ``x1 - x0 + 1`` wide.

    Args:
        found: of each image (D_i, 4).
        scores: of each image (D_i,). Of equal ones the first count first.
        true: of each image (G_i, 4).
        difficult: of each image (G_i,) bool.
    """
    objects, overlaps, hard, first = [], [], [], 0
    for boxes, others, skipped in zip(found, true, difficult, strict=True):
        table = _overlaps(boxes, others)
        if table.size:
            best = table.argmax(axis=1)
            objects.append(best + first)
            overlaps.append(table[np.arange(len(best)), best])
            hard.append(skipped[best])
        else:
            objects.append(np.full(len(boxes), -1))
            overlaps.append(np.zeros(len(boxes)))
            hard.append(np.zeros(len(boxes), dtype=bool))
        first += len(others)
    order = np.argsort(-_join(scores, float), kind="stable")
    return ClassMatches(
        _join(objects, np.int64)[order],
        _join(overlaps, float)[order],
        _join(hard, bool)[order],
        int((~_join(difficult, bool)).sum()),
    )


def _join(parts: Sequence[np.ndarray], dtype: type) -> np.ndarray:
    return np.concatenate([np.zeros(0, dtype=dtype), *parts]).astype(dtype)


def _overlaps(found: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return (D, G), intersection over union."""
    low = np.maximum(found[:, None, :2], true[:, :2])
    high = np.minimum(found[:, None, 2:], true[:, 2:])
    both = (high - low + 1).clip(0).prod(axis=2)
    area, other = ((b[:, 2:] - b[:, :2] + 1).prod(axis=1) for b in (found, true))
    return both / (area[:, None] + other - both)


def average_precision(matches: ClassMatches, threshold: float, metric: VocMetric) -> float:
    """Return the average precision in [0, 1]; NaN without objects.

    The first detection whose overlap with an object is larger than the threshold finds it; a further one is
    wrong, as is one that overlaps nothing so much. What overlaps a difficult object is neither.

    Args:
        matches: of a class.
        threshold: of the overlap.
        metric: "11-point", the mean over recall 0, 0.1, ..., 1 of the highest precision at this recall or a
            higher one (VOC 2007); or "area", the area under that curve (from VOC 2010 on).
    """
    if matches.num_objects == 0:
        return math.nan
    near = matches.overlaps > threshold
    candidates = np.flatnonzero(near & ~matches.difficult)
    right = np.zeros(len(near), dtype=bool)
    right[candidates[np.unique(matches.objects[candidates], return_index=True)[1]]] = True
    wrong = ~right & ~(near & matches.difficult)
    hits, misses = np.cumsum(right), np.cumsum(wrong)
    recall = hits / matches.num_objects
    precision = hits / np.maximum(hits + misses, np.finfo(np.float64).eps)
    if metric == "11-point":
        points = [precision[recall >= level] for level in np.arange(0.0, 1.1, 0.1)]
        return sum(float(p.max()) if len(p) else 0.0 for p in points) / 11
    recall = np.concatenate(([0.0], recall, [1.0]))
    envelope = np.maximum.accumulate(np.concatenate(([0.0], precision, [0.0]))[::-1])[::-1]
    steps = np.flatnonzero(recall[1:] != recall[:-1])
    return float(((recall[steps + 1] - recall[steps]) * envelope[steps + 1]).sum())
