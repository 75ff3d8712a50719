"""What kinds of mistakes cost how much average precision (Bolya et al., "TIDE", arXiv:2008.08115)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from lazycfg.evaluation.matching import Matching, highest

__all__ = ["ERROR_TYPES", "error_types", "interpolated_precision", "mean_average_precision"]

ERROR_TYPES = ("classification", "localization", "both", "duplicate", "background", "missed")
_RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class _Points:
    """What average precision is computed from: (N,) scores, classes, and whether they are right; and the
    number of objects of each class.
    """

    score: np.ndarray
    label: np.ndarray
    right: np.ndarray
    objects: np.ndarray


def error_types(matching: Matching, num_classes: int, *, background: float = 0.1) -> dict[str, Any]:
    """Count mistakes by kind, and what mending each kind alone would add to AP50.

    A detection that found nothing, and does not lie in a crowd of its class, is the first of these that fits;
    `iou` is that of the matching:

    - localization: its overlap with an object of its class is at least `background` and less than `iou`;
    - classification: its overlap with an object of another class is at least `iou`;
    - duplicate: its overlap with an object of its class that another detection found is at least `iou`;
    - background: no overlap is more than `background`;
    - both: none of these, so class and place are wrong.

    An object is missed when no detection found it, and none would by mending its class or its place.

    Mending a kind: a wrong class or place is put right if its object is not found and no better detection is
    of these two kinds for the same object; all other mistakes of the kind are taken away. Missed objects are
    taken off the number of objects.

    Returns:
        "AP50" in percent (at the overlap of the matching), and by kind "counts" and "dAP", percentage points;
        "dAP" also has "false_positives" (all wrong detections come last) and "false_negatives" (the number of
        objects is that of those found).
    """
    kind, target = _kinds(matching, background)
    taken = np.zeros(len(matching.true_image), dtype=bool)
    taken[matching.found[matching.found >= 0]] = True
    # Of the mistakes that point to an object, the best can be put right
    mendable = np.isin(kind, (0, 1)) & (target >= 0)
    mendable[mendable] = ~taken[target[mendable]]
    candidates = np.flatnonzero(mendable)
    best = candidates[np.unique(target[candidates], return_index=True)[1]]
    missed = ~taken
    missed[target[candidates]] = False

    counts = ~matching.ignored
    right = matching.found >= 0
    objects = np.bincount(matching.true_label, minlength=num_classes)
    with_objects = objects > 0
    plain = _Points(matching.score[counts], matching.label[counts], right[counts], objects)
    now = mean_average_precision(plain, with_objects)
    gains = {}
    for number, name in enumerate(ERROR_TYPES[:-1]):
        own = kind == number
        mended = np.zeros(len(own), dtype=bool)
        mended[best[own[best]]] = True
        label = matching.label.copy()
        label[mended] = matching.true_label[target[mended]]
        kept = counts & (~own | mended)
        fixed = _Points(matching.score[kept], label[kept], (right | mended)[kept], objects)
        gains[name] = mean_average_precision(fixed, with_objects) - now
    lost = np.bincount(matching.true_label[missed], minlength=num_classes)
    unfound = np.bincount(matching.true_label[~taken], minlength=num_classes)
    last = np.where(plain.right, 1.0, 0.0)
    for name, points in (
        ("missed", _Points(plain.score, plain.label, plain.right, objects - lost)),
        ("false_positives", _Points(last, plain.label, plain.right, objects)),
        ("false_negatives", _Points(plain.score, plain.label, plain.right, objects - unfound)),
    ):
        gains[name] = mean_average_precision(points, with_objects) - now
    numbers = [*np.bincount(kind[kind >= 0], minlength=5).tolist(), int(missed.sum())]
    return {
        "AP50": 100 * now,
        "counts": dict(zip(ERROR_TYPES, numbers, strict=True)),
        "dAP": {name: 100 * max(0.0, gain) for name, gain in gains.items()},
    }


def _kinds(matching: Matching, background: float) -> tuple[np.ndarray, np.ndarray]:
    """Return (D,) the index in `ERROR_TYPES` of each mistake, -1 for what is none; and (D,) the object that
    a wrong class or place is about, else -1.
    """
    detection, thing = matching.pairs.T
    same = matching.label[detection] == matching.true_label[thing]
    taken = np.zeros(len(matching.true_image), dtype=bool)
    taken[matching.found[matching.found >= 0]] = True
    count = len(matching.image)
    own, own_object = highest(detection[same], thing[same], matching.overlaps[same], count)
    other, other_object = highest(detection[~same], thing[~same], matching.overlaps[~same], count)
    used = same & taken[thing]
    again, _ = highest(detection[used], thing[used], matching.overlaps[used], count)
    wrong = (matching.found < 0) & ~matching.ignored
    conditions = [
        (own >= background) & (own < matching.iou),
        other >= matching.iou,
        again >= matching.iou,
        np.maximum(own, other) <= background,
        np.ones(count, dtype=bool),
    ]
    kind = np.select([wrong & condition for condition in conditions], (1, 0, 3, 4, 2), -1)
    target = np.select([kind == 1, kind == 0], (own_object, other_object), -1)
    return kind, target


def mean_average_precision(points: _Points, classes: np.ndarray) -> float:
    """Return the mean over the classes (K,) bool that are wanted, in [0, 1]; NaN for none."""
    values = []
    order = np.argsort(-points.score, kind="stable")
    label, right = points.label[order], points.right[order]
    for index in np.flatnonzero(classes).tolist():
        curve = interpolated_precision(right[label == index], int(points.objects[index]))
        values.append(float(curve.mean()))
    return sum(values) / len(values) if values else math.nan


def interpolated_precision(right: np.ndarray, objects: int) -> np.ndarray:
    """Return (101,) the highest precision at a recall of 0, 0.01, ..., 1 or more; 0 where it is not reached.

    Args:
        right: (N,) bool, by falling score.
        objects: how many there are to be found.
    """
    result = np.zeros(101)
    if objects == 0:
        return result
    hits = np.cumsum(right)
    precision = hits / np.arange(1, len(right) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(hits / objects, _RECALLS, side="left")
    reached = places < len(right)
    result[reached] = envelope[places[reached]]
    return result
