"""Where detections go wrong: confusion of classes, curves, thresholds, kinds of mistakes, sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from lazycfg.evaluation.coco_scores import CocoScores, coco_scores
from lazycfg.evaluation.error_types import ERROR_TYPES, error_types, interpolated_precision
from lazycfg.evaluation.matching import Matching, greedy, match_detections
from lazycfg.evaluation.tables import distinct_names

__all__ = ["analyse_detections", "analysis_metrics"]

_COUNTS = ((0, 0), (1, 1), (2, 4), (5, 9), (10, 19), (20, 49), (50, 99), (100, None))


def analyse_detections(
    ground_truth: Mapping[str, Any],
    detections: Sequence[Mapping[str, Any]],
    iou_type: Literal["bbox", "segm"] = "bbox",
    *,
    iou: float = 0.5,
    background_iou: float = 0.1,
    max_dets: int = 100,
    score_threshold: float | None = None,
) -> dict[str, Any]:
    """Analyze detection errors: precision-recall curves, confusion matrix, kinds of mistakes.

    Args:
        ground_truth: as a COCO annotation file.
        detections: as a COCO results file.
        iou_type: what to compare.
        iou: the overlap from which on an object counts as found, one of 0.5, 0.55, ..., 0.95.
        background_iou: the overlap up to which a detection is on the background, see `error_types`.
        max_dets: detections of an image and class that count, the best first.
        score_threshold: from which score on detections are in the confusion matrix and in the numbers
            beside it; None takes that with the best F1 over all classes together.

    Returns:
        a dict of

        - "iou_type", "iou", "background_iou", "max_dets", and "images", "objects" (crowds are none),
          "detections", "detections_left_out" (more than `max_dets` of an image and class);
        - "AP", "AP50", "AP75" in percent, as `coco_scores` has them;
        - "score_threshold", and there "precision", "recall" and "F1" over all classes together, in [0, 1];
        - "per_class": of each class "class", "objects", "detections", "AP" and "AP50" in percent;
          "threshold", the score with the best F1 (None if nothing is found), and there "F1", "precision" and
          "recall"; and its curve, "curve_precision" and "curve_score" at recall 0, 0.01, ..., 1 (a score is
          None where the recall is not reached);
        - "confusion": "classes", the last of them "background", and "matrix": row by row the true class, the
          numbers of detections by predicted class. First detections find objects of their own class as AP
          counts them; then, by falling score, what is left of both is matched across classes. The last
          column counts objects that nothing found, the last row detections of nothing;
        - "errors": see `error_types`; AP50 there is at `iou`;
        - "by_size": "size", "objects", "AP", "AP50", "AR" of small (up to 32 x 32 pixels), medium and large
          (from 96 x 96) objects;
        - "by_count": of images by their number of objects "from", "to" (None: no end), "images", "objects",
          "AP", "AP50", "AR", and "wrong_per_image", detections from `score_threshold` on that found nothing.

    Raises:
        ImportError, ValueError: see `coco_scores` and `match_detections`.
    """
    matching = match_detections(ground_truth, detections, iou_type, iou=iou, max_dets=max_dets)
    names = distinct_names([str(category["name"]) for category in ground_truth["categories"]])
    scores = coco_scores(ground_truth, detections, iou_type, max_dets=(max_dets,))
    everything = best_f1(matching.score, matching.found >= 0, ~matching.ignored, len(matching.area))
    threshold = everything["threshold"] if score_threshold is None else float(score_threshold)
    kept = ~matching.ignored & (matching.score >= (math.inf if threshold is None else threshold))
    hits, count = int((matching.found[kept] >= 0).sum()), int(kept.sum())
    return {
        "iou_type": iou_type,
        "iou": iou,
        "background_iou": background_iou,
        "max_dets": max_dets,
        "images": len(matching.images),
        "objects": len(matching.area),
        "detections": len(detections),
        "detections_left_out": len(detections) - len(matching.image),
        **_metrics(scores, ("AP", "AP50", "AP75")),
        "score_threshold": threshold,
        **_ratios(hits, count, len(matching.area)),
        "per_class": [_of_class(matching, scores, index, name) for index, name in enumerate(names)],
        "confusion": {
            "classes": [*names, "background"],
            "matrix": confusion_matrix(matching, kept, len(names)),
        },
        "errors": error_types(matching, len(names), background=background_iou),
        "by_size": [
            {
                "size": area,
                "objects": int(scores.num_objects[:, column].sum()),
                "AP": 100 * scores.average_precision(area=area),
                "AP50": 100 * scores.average_precision(iou=0.5, area=area),
                "AR": 100 * scores.average_recall(area=area),
            }
            for column, area in enumerate(scores.areas)
            if area != "all"
        ],
        "by_count": _by_count(ground_truth, detections, iou_type, max_dets, matching, kept),
    }


def analysis_metrics(analysis: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of an analysis that are not of one class, by name, as results of an evaluation.

    They are "max_dets", "score_threshold", "precision", "recall", "F1", and of each kind of mistake
    "dAP_<kind>" in percentage points.
    """
    names = ("max_dets", "score_threshold", "precision", "recall", "F1")
    plain = {name: math.nan if analysis[name] is None else float(analysis[name]) for name in names}
    kinds = (*ERROR_TYPES, "false_positives", "false_negatives")
    return plain | {f"dAP_{kind}": float(analysis["errors"]["dAP"][kind]) for kind in kinds}


def _metrics(scores: CocoScores, names: Sequence[str]) -> dict[str, float]:
    metrics = scores.metrics()
    return {name: metrics[name] for name in names}


def _ratios(hits: int, detections: int, objects: int) -> dict[str, float]:
    return {
        "precision": hits / detections if detections else math.nan,
        "recall": hits / objects if objects else math.nan,
        "F1": 2 * hits / (detections + objects) if objects else math.nan,
    }


def best_f1(score: np.ndarray, right: np.ndarray, counts: np.ndarray, objects: int) -> dict[str, Any]:
    """Return the threshold with the best F1, the highest of equal ones, and the numbers there.

    Args:
        score, right, counts: (N,), by falling score.
        objects: how many there are to be found.
    """
    score, right = score[counts], right[counts]
    hits = np.cumsum(right)
    value = 2 * hits / (np.arange(1, len(hits) + 1) + objects)
    value[np.append(score[1:] == score[:-1], False)[: len(score)]] = 0  # no threshold parts equal scores
    if not objects or not len(value) or value.max() == 0:
        return {"threshold": None, **_ratios(0, 0, objects)}
    best = int(value.argmax())
    return {"threshold": float(score[best]), **_ratios(int(hits[best]), best + 1, objects)}


def _of_class(matching: Matching, scores: CocoScores, index: int, name: str) -> dict[str, Any]:
    own = matching.label == index
    right, counts, score = matching.found[own] >= 0, ~matching.ignored[own], matching.score[own]
    objects = int((matching.true_label == index).sum())
    precision = interpolated_precision(right[counts], objects)
    recall = np.cumsum(right[counts]) / max(objects, 1)
    places = np.searchsorted(recall, np.linspace(0, 1, 101))
    reached = score[counts].tolist()
    return {
        "class": name,
        "objects": objects,
        "detections": int(own.sum()),
        "AP": 100 * scores.average_precision(class_index=index),
        "AP50": 100 * scores.average_precision(iou=0.5, class_index=index),
        **best_f1(score, right, counts, objects),
        "curve_precision": precision.tolist() if objects else [],
        "curve_score": [reached[place] if place < len(reached) else None for place in places]
        if objects
        else [],
    }


def confusion_matrix(matching: Matching, kept: np.ndarray, num_classes: int) -> list[list[int]]:
    """Return the numbers of detections by true (rows) and predicted class, the last the background; see
    `analyse_detections`.

    Args:
        matching: of a whole data set.
        kept: (D,) bool, the detections that count.
        num_classes: without the background.
    """
    found = np.where(kept, matching.found, -1)
    taken = np.zeros(len(matching.area), dtype=bool)
    taken[found[found >= 0]] = True
    detection, thing = matching.pairs.T
    left = (kept & (found < 0))[detection] & ~taken[thing] & (matching.overlaps >= matching.iou)
    across = greedy(matching.pairs[left], matching.overlaps[left], matching.image, len(taken))
    found = np.where(found >= 0, found, across)
    taken[across[across >= 0]] = True
    matrix = np.zeros((num_classes + 1, num_classes + 1), dtype=np.int64)
    true = np.append(matching.true_label, num_classes)[found[kept]]  # -1: the background
    np.add.at(matrix, (true, matching.label[kept]), 1)
    np.add.at(matrix, (matching.true_label[~taken], num_classes), 1)
    return matrix.tolist()


def _by_count(
    ground_truth: Mapping[str, Any],
    detections: Sequence[Mapping[str, Any]],
    iou_type: Literal["bbox", "segm"],
    max_dets: int,
    matching: Matching,
    kept: np.ndarray,
) -> list[dict[str, Any]]:
    objects = np.bincount(matching.true_image, minlength=len(matching.images))
    wrong = np.bincount(matching.image[kept & (matching.found < 0)], minlength=len(matching.images))
    rows = []
    for low, high in _COUNTS:
        own = (objects >= low) & (objects <= (math.inf if high is None else high))
        if not own.any():
            continue
        ids = [matching.images[place] for place in np.flatnonzero(own).tolist()]
        scores = coco_scores(ground_truth, detections, iou_type, max_dets=(max_dets,), img_ids=ids)
        rows.append(
            {
                "from": low,
                "to": high,
                "images": int(own.sum()),
                "objects": int(objects[own].sum()),
                **_metrics(scores, ("AP", "AP50")),
                "AR": 100 * scores.average_recall(),
                "wrong_per_image": float(wrong[own].mean()),
            }
        )
    return rows
