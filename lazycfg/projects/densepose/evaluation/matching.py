"""Average precision and recall as COCO defines them, of whatever likeness of detections and objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["ImageOverlaps", "densepose_scores", "iou_thresholds"]

AREAS = {"all": (0.0, 1e10), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
RECALLS = np.linspace(0, 1, 101)
BOX_MATCH = 0.8
"""An unmatched detection whose box is that much an unmatched object's is ignored if the object is."""


@dataclass(frozen=True, eq=False)
class ImageOverlaps:
    """The detections and the objects of one image, and how alike they are.

    Where all objects of a class are ignored, or there are none, detections of the class are ignored, too.

    Attributes:
        image_id: of the image.
        labels, scores, areas: (D,) class, score and area of the box of each detection; the best of each class
            only.
        gt_labels, gt_areas, gt_ignored, gt_crowd: (G,) of the objects. Ignored ones are neither found nor
            missed.
        gps: (D, G) geodesic point similarity. masks, boxes: (D, G) IoU.
    """

    image_id: Any
    labels: np.ndarray
    scores: np.ndarray
    areas: np.ndarray
    gt_labels: np.ndarray
    gt_areas: np.ndarray
    gt_ignored: np.ndarray
    gt_crowd: np.ndarray
    gps: np.ndarray
    masks: np.ndarray
    boxes: np.ndarray


@dataclass(frozen=True, eq=False)
class _Matches:
    """Of one class in one image: scores (D,), and for each threshold which detections (T, D) found an object
    and which are ignored; and the number of objects to be found.
    """

    scores: np.ndarray
    matched: np.ndarray
    ignored: np.ndarray
    objects: int


def iou_thresholds(lowest: float) -> np.ndarray:
    """Return the (T,) thresholds from the lowest one to 0.95, 0.05 apart."""
    return np.linspace(lowest, 0.95, int(np.round((0.95 - lowest) / 0.05)) + 1)


def densepose_scores(
    images: Sequence[ImageOverlaps], class_names: Sequence[str], kind: str, thresholds: np.ndarray
) -> dict[str, float]:
    """Return average precisions and recalls in percent; NaN where there is nothing to be found.

    Args:
        images: in the order that decides between equal scores.
        class_names: of all classes.
        kind: "gps", "gpsm" (the geometric mean of GPS and the IoU of masks) or "segm" (the IoU of masks).
        thresholds: (T,) from which on an object is found.

    Returns:
        "AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl"; "AP20", "AP30" and "AP40"
        where the thresholds go so low; "AP-<class>" where there are several classes.
    """
    precision: dict[str, np.ndarray] = {}
    recall: dict[str, np.ndarray] = {}
    for name, area in AREAS.items():
        curves = [
            _curves([m for x in images if (m := _match(x, label, kind, thresholds, area))], len(thresholds))
            for label in range(len(class_names))
        ]
        precision[name] = np.stack([p for p, _ in curves], axis=-1)  # (T, recalls, classes)
        recall[name] = np.stack([r for _, r in curves], axis=-1)  # (T, classes)
    lower = [t for t in (0.2, 0.3, 0.4) if thresholds[0] <= t + 1e-3]
    result: dict[str, float] = {}
    for short, values in (("AP", precision), ("AR", recall)):
        result[short] = _mean(values["all"])
        for t in (*lower, 0.5, 0.75) if short == "AP" else (0.5, 0.75):
            result[f"{short}{round(100 * t)}"] = _mean(values["all"][np.isclose(thresholds, t)])
        result[f"{short}m"], result[f"{short}l"] = _mean(values["medium"]), _mean(values["large"])
    if len(class_names) > 1:
        for label, name in enumerate(class_names):
            result[f"AP-{name}"] = _mean(precision["all"][..., label])
    return result


def _mean(values: np.ndarray) -> float:
    values = values[~np.isnan(values)]
    return 100 * float(values.mean()) if values.size else float("nan")


def _match(
    image: ImageOverlaps, label: int, kind: str, thresholds: np.ndarray, area: tuple[float, float]
) -> _Matches | None:
    """Match the detections of a class to its objects, the best first; None if there are neither."""
    rows, columns = np.flatnonzero(image.labels == label), np.flatnonzero(image.gt_labels == label)
    if not len(rows) and not len(columns):
        return None
    rows = rows[np.argsort(-image.scores[rows], kind="stable")]
    gt_areas = image.gt_areas[columns]
    outside = (gt_areas < area[0]) | (gt_areas > area[1])
    gt_ignored = image.gt_ignored[columns] | outside
    order = np.argsort(gt_ignored, kind="stable")
    columns, gt_ignored = columns[order], gt_ignored[order]
    crowd = image.gt_crowd[columns]
    likeness = _likeness(image, kind)[np.ix_(rows, columns)]
    boxes = image.boxes[np.ix_(rows, columns)]
    levels = np.minimum(thresholds, 1 - 1e-10)

    count = len(thresholds)
    matched, ignored = np.zeros((2, count, len(rows)), dtype=bool)
    taken = np.zeros((count, len(columns)), dtype=bool)
    ignored[:] = gt_ignored.all()  # also where there is no object at all, as the published numbers have it
    if len(columns):
        for d in range(len(rows)):
            good = (likeness[d] >= levels[:, None]) & (likeness[d] > 0) & (~taken | crowd)
            best, found = _best(good, likeness[d], gt_ignored)
            matched[found, d] = True
            ignored[found, d] = gt_ignored[best[found]]
            taken[found, best[found]] = True
        for d in np.flatnonzero(~matched[-1]):
            good = (boxes[d] >= BOX_MATCH) & (~taken[-1] | crowd)
            best, found = _best(good[None], boxes[d], gt_ignored)
            if found[0]:
                ignored[:, d] = gt_ignored[best[0]]
                if gt_ignored[best[0]]:
                    matched[:, d] = True
                    taken[:, best[0]] = True
    areas = image.areas[rows]
    ignored |= ~matched & ((areas < area[0]) | (areas > area[1]))
    return _Matches(image.scores[rows], matched, ignored, int((~gt_ignored).sum()))


def _likeness(image: ImageOverlaps, kind: str) -> np.ndarray:
    if kind == "gps":
        return image.gps
    if kind == "segm":
        return image.masks
    if kind == "gpsm":
        return np.sqrt(image.masks * image.gps)
    raise ValueError(f"kind must be 'gps', 'gpsm' or 'segm', got {kind!r}")


def _best(good: np.ndarray, likeness: np.ndarray, ignored: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each threshold the most alike object, the last of equal ones, and whether there is any. One
    that is ignored is taken only if no other is good.

    Args:
        good: (T, G) bool. likeness: (G,). ignored: (G,) bool.
    """
    regular = good & ~ignored
    chosen = np.where(regular.any(axis=1, keepdims=True), regular, good)
    values = np.where(chosen, likeness, -1.0)
    best = len(likeness) - 1 - values[:, ::-1].argmax(axis=1)
    return best, np.asarray(chosen.any(axis=1))


def _curves(images: Sequence[_Matches], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return precision at each recall (T, 101) and the highest recall (T,); NaN without objects."""
    precision, recall = np.full((count, len(RECALLS)), np.nan), np.full(count, np.nan)
    objects = sum(image.objects for image in images)
    if not objects:
        return precision, recall
    order = np.argsort(-np.concatenate([image.scores for image in images]), kind="stable")
    matched = np.concatenate([image.matched for image in images], axis=1)[:, order]
    ignored = np.concatenate([image.ignored for image in images], axis=1)[:, order]
    right, wrong = (matched & ~ignored).cumsum(axis=1), (~matched & ~ignored).cumsum(axis=1)
    for t in range(count):
        recalls = right[t] / objects
        recall[t] = recalls[-1] if len(recalls) else 0.0
        own = right[t] / np.maximum(right[t] + wrong[t], np.spacing(1))
        own = np.maximum.accumulate(own[::-1])[::-1]
        place = np.searchsorted(recalls, RECALLS, side="left")
        precision[t] = np.append(own, 0.0)[np.minimum(place, len(own))]
    return precision, recall


def overlaps_by_id(parts: Sequence[Mapping[Any, ImageOverlaps]]) -> dict[Any, ImageOverlaps]:
    """Join what several processes saw; an image may come twice where a sampler pads the last round."""
    return {image_id: image for part in parts for image_id, image in part.items()}
