"""What a report shows of an evaluation beside its results: classes, curves, confusion, mistakes, images."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from lazycfg.evaluation.analysis import best_f1, confusion_matrix
from lazycfg.evaluation.error_types import error_types, interpolated_precision
from lazycfg.evaluation.evaluator import ImageQuality, Results
from lazycfg.evaluation.matching import Matching
from lazycfg.evaluation.nearest import NearestObjects
from lazycfg.evaluation.tables import distinct_names

__all__ = ["Compared", "confusion_details", "curve_details", "detection_details", "nearest_details"]

Compared = tuple[NearestObjects, list[dict[str, Any]]]
"""What an evaluation compared, and a row of numbers for each class."""

_MOST_CURVES = 40
_MOST_CLASSES = 30  # of a whole matrix of confusion
_MOST_PAIRS = 60


def curve_details(
    names: Sequence[str], objects: Sequence[int], curve: Callable[[int], np.ndarray], *, iou: float = 0.5
) -> dict[str, Any]:
    """Return precision at a recall of 0, 0.01, ..., 1 for the mean of the classes, and for the most frequent
    of them.

    Args:
        names: of the K classes.
        objects: (K,) how many of each there are to be found; a class without any has no curve.
        curve: from a class to its (101,) highest precision at each recall or a higher one.
        iou: of what counts as found.
    """
    present = np.flatnonzero(np.asarray(objects) > 0).tolist()
    if not present:
        return {}
    curves = {index: curve(index) for index in present}
    frequent = sorted(present, key=lambda index: -objects[index])[:_MOST_CURVES]
    names = distinct_names(names)
    return {
        "iou": iou,
        "mean": _rounded(np.nanmean(list(curves.values()), axis=0)),
        "classes": {names[index]: _rounded(curves[index]) for index in frequent},
        "left_out": len(present) - len(frequent),
    }


def confusion_details(matrix: np.ndarray, names: Sequence[str], *, unit: str) -> dict[str, Any]:
    """Return a matrix of confusion; of many classes only the pairs that are taken for each other most.

    Args:
        matrix: (K, K) counts, rows the truth.
        names: of the K classes.
        unit: what is counted.
    """
    result: dict[str, Any] = {"unit": unit, "classes": len(names)}
    if len(names) <= _MOST_CLASSES + 1:
        return result | {"names": list(names), "matrix": matrix.tolist()}
    wrong = matrix * (1 - np.eye(len(names), dtype=matrix.dtype))
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_PAIRS]
    rows, columns = np.unravel_index(order, wrong.shape)
    pairs = [
        {"true": names[row], "predicted": names[column], "count": int(wrong[row, column])}
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        if wrong[row, column]
    ]
    return result | {"pairs": pairs}


def detection_details(matching: Matching, names: Sequence[str]) -> tuple[dict[str, Any], ImageQuality]:
    """Say which classes are taken for each other and what kinds of mistakes there are.

    Args:
        matching: of all detections.
        names: of the classes.

    Returns:
        a dict of "threshold" (the score with the best F1 over all classes; None if nothing was found) and
        there "precision", "recall" and "F1"; "confusion" of detections from it on, and "errors" (see
        `error_types`); and the F1 of each image that has objects, or detections from the threshold on.
    """
    names = distinct_names(names)
    best = best_f1(matching.score, matching.found >= 0, ~matching.ignored, len(matching.area))
    threshold = math.inf if best["threshold"] is None else best["threshold"]
    kept = ~matching.ignored & (matching.score >= threshold)
    matrix = np.array(confusion_matrix(matching, kept, len(names)))
    found = {
        **best,
        "confusion": confusion_details(matrix, [*names, "background"], unit="detections"),
        "errors": error_types(matching, len(names)),
    }
    return found, _f1_of_images(matching, kept)


def nearest_details(
    task: str, compared: Compared | None, names: Sequence[str], *, iou: float = 0.5
) -> tuple[Results, ImageQuality]:
    """Return the details of a task whose detections are judged by their nearest object: "per_class",
    "curves" and what `detection_details` gives.

    Args:
        task: such as "bbox".
        compared: the detections, and a row for each class; None where nothing was evaluated, of which there
            is nothing to tell.
        names: of the classes.
        iou: an overlap larger than it counts as found.
    """
    if compared is None:
        return {}, {}
    found, rows = compared
    right, wrong = found.judge(iou)
    objects = found.num_objects(len(names)).tolist()

    def curve(index: int) -> np.ndarray:
        return interpolated_precision(right[(found.label == index) & (right | wrong)], objects[index])

    more, quality = detection_details(found.matching(iou), names)
    curves = curve_details(names, objects, curve, iou=iou)
    return {task: {"per_class": rows, "curves": curves, **more}}, quality


def _f1_of_images(matching: Matching, kept: np.ndarray) -> ImageQuality:
    count = len(matching.images)
    objects = np.bincount(matching.true_image, minlength=count)
    shown = np.bincount(matching.image[kept], minlength=count)
    hits = np.bincount(matching.image[kept & (matching.found >= 0)], minlength=count)
    places = np.flatnonzero(objects + shown > 0)
    values = 2 * hits[places] / (objects + shown)[places]
    return {
        matching.images[place]: value for place, value in zip(places.tolist(), values.tolist(), strict=True)
    }


def _rounded(values: Iterable[float]) -> list[float]:
    return [round(float(value), 3) for value in values]
