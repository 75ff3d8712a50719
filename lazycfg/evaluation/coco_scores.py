"""COCO's average precision and recall, and where they come from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import contains, itemgetter
from typing import Any

import numpy as np

from lazycfg.evaluation.coco_checks import FIELDS, check_detections, check_mask_sizes, check_truth
from lazycfg.evaluation.coco_engines import (
    Comparison,
    Engine,
    Entries,
    IouType,
    choose_engine,
    numbers_of,
    run_engine,
)

__all__ = ["CocoScores", "coco_scores", "in_order", "too_many_objects"]

_AREAS = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
_METRICS = {
    "AP": (None, "all"),
    "AP50": (0.5, "all"),
    "AP75": (0.75, "all"),
    "APs": (None, "small"),
    "APm": (None, "medium"),
    "APl": (None, "large"),
}


@dataclass(frozen=True, eq=False)
class CocoScores:
    """Precision and recall of one kind of prediction over a dataset.

    What cannot be said, because no object is there to be found, is NaN.
    """

    iou_type: IouType
    precision: np.ndarray
    """(thresholds, 101 recalls, classes, areas, limits), in [0, 1]."""
    recall: np.ndarray
    """(thresholds, classes, areas, limits): the highest recall, in [0, 1]."""
    score: np.ndarray
    """As `precision`: the score at which that recall is reached."""
    iou_thresholds: np.ndarray
    class_names: tuple[str, ...]
    areas: tuple[str, ...]
    max_dets: tuple[int, ...]
    """The limits: how many detections of an image are looked at, the best first."""
    num_objects: np.ndarray
    """(classes, areas): objects that count (crowds do not)."""
    num_detections: int
    most_objects: int = 0
    """The largest number of objects of one class in one image (crowds do not count)."""
    fullest_image: Any = None
    """The id of an image that has them."""
    num_left_out: int = 0
    """Detections that do not count, because their image has better ones of their class up to the limit."""

    def average_precision(
        self,
        *,
        iou: float | None = None,
        area: str = "all",
        class_index: int | Sequence[int] | None = None,
    ) -> float:
        """Mean precision over recalls, classes (all, or one, or some) and (unless one is given) IoU
        thresholds, in [0, 1].
        """
        values = self.precision[..., self.areas.index(area), -1]
        if class_index is not None:
            values = values[:, :, class_index]
        return _mean(values[self._thresholds(iou)])

    def average_recall(
        self,
        *,
        iou: float | None = None,
        area: str = "all",
        max_dets: int | None = None,
        class_index: int | None = None,
    ) -> float:
        """Mean of the highest recalls over classes and IoU thresholds, in [0, 1]."""
        limit = -1 if max_dets is None else self.max_dets.index(max_dets)
        values = self.recall[..., self.areas.index(area), limit]
        if class_index is not None:
            values = values[:, class_index]
        return _mean(values[self._thresholds(iou)])

    def precision_recall(self, class_index: int, *, iou: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
        """Return the curve of a class: (recalls, precisions), each of shape (101,)."""
        curve = self.precision[self._thresholds(iou), :, class_index, 0, -1][0]
        return np.linspace(0, 1, len(curve)), curve

    def metrics(self) -> dict[str, float]:
        """Return the usual metrics in percent: AP, AP50, AP75, and by area where areas are distinguished."""
        return {
            name: 100 * self.average_precision(iou=iou, area=area)
            for name, (iou, area) in _METRICS.items()
            if area in self.areas
        }

    def recalls(self) -> dict[str, float]:
        """AR by number of detections and by area, in percent: AR1, AR10, AR100, ARs, ARm, ARl."""
        by_limit = {f"AR{limit}": self.average_recall(max_dets=limit) for limit in self.max_dets}
        by_area = {f"AR{area[0]}": self.average_recall(area=area) for area in self.areas[1:]}
        return {name: 100 * value for name, value in {**by_limit, **by_area}.items()}

    def per_class(self) -> list[dict[str, Any]]:
        """For every class: name, number of objects, AP, AP50, AP75 and AR in percent."""
        rows = []
        for index, name in enumerate(self.class_names):
            row: dict[str, Any] = {"class": name, "objects": int(self.num_objects[index, 0])}
            for metric, iou in (("AP", None), ("AP50", 0.5), ("AP75", 0.75)):
                row[metric] = 100 * self.average_precision(iou=iou, class_index=index)
            row["AR"] = 100 * self.average_recall(class_index=index)
            rows.append(row)
        return rows

    def explanations(self) -> list[str]:
        """Explain which numbers are NaN or zero, and why."""
        said = []
        if self.num_objects[:, 0].sum() == 0:
            said.append("there are no objects to be found, so every metric is NaN")
        else:
            absent = [
                n for n, count in zip(self.class_names, self.num_objects[:, 0], strict=True) if count == 0
            ]
            if absent:
                names = ", ".join(absent[:10]) + (", ..." if len(absent) > 10 else "")
                said.append(
                    f"{len(absent)} of {len(self.class_names)} classes have no objects: NaN, left out of "
                    f"means ({names})"
                )
            for index, area in enumerate(self.areas[1:], start=1):
                if self.num_objects[:, index].sum() == 0:
                    low, high = (math.isqrt(int(side)) for side in _AREAS[area])
                    bounds = (
                        f"from {low} x {low}"
                        + (f" to {high} x {high}" if area != "large" else "")
                        + " pixels"
                    )
                    said.append(f"there are no {area} objects ({bounds}): AP{area[0]} is NaN")
        if self.num_detections == 0:
            said.append("there are no detections at all")
        return [*said, *self.truncations()]

    def truncations(self) -> list[str]:
        """Say where objects or detections are more than the limit of detections that count."""
        limit, said = self.max_dets[-1], []
        if self.most_objects > limit:
            said.append(too_many_objects(self.most_objects, self.fullest_image, limit))
        if self.num_left_out:
            said.append(
                f"{self.num_left_out} of {self.num_detections} detections do not count: only the best "
                f"{limit} of a class in an image do"
            )
        return said

    def _thresholds(self, iou: float | None) -> Any:
        if iou is None:
            return slice(None)
        found = np.flatnonzero(np.isclose(self.iou_thresholds, iou))
        if len(found) == 0:
            raise ValueError(f"iou={iou} is not one of {np.round(self.iou_thresholds, 3).tolist()}")
        return found


def _mean(values: np.ndarray) -> float:
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else math.nan


def too_many_objects(count: int, image_id: Any, limit: int) -> str:
    """Say that an image has more objects of one class than detections count."""
    return (
        f"image {image_id!r} has {count} objects of one class, and only the best {limit} detections of a "
        "class in an image count, so some can never be found: give the evaluator "
        f"max_dets_per_image={count}, and let the model return as many (test_topk_per_image of its box "
        "predictor)"
    )


def coco_scores(
    ground_truth: Mapping[str, Any],
    detections: Sequence[Mapping[str, Any]],
    iou_type: IouType,
    *,
    max_dets: Sequence[int] | None = None,
    kpt_oks_sigmas: Sequence[float] = (),
    img_ids: Sequence[Any] | None = None,
    engine: Engine | None = None,
) -> CocoScores:
    """Compute COCO's metrics of detections against annotations.

    Args:
        ground_truth: as a COCO annotation file.
        detections: as a COCO results file: "image_id", "category_id", "score" and "bbox" (XYWH),
            "segmentation" (RLE) or "keypoints", whichever ``iou_type`` asks for. Where any box, here or in
            the truth, has five numbers (xc, yc, width, height, angle), boxes are compared as rotated ones.
        iou_type: what to compare.
        max_dets: how many detections per image and class to look at; the last counts for AP. Default 1, 10,
            100; for keypoints 20.
        kpt_oks_sigmas: tolerance per keypoint; default: those of COCO's 17.
        img_ids: look at these images only.
        engine: the package that compares, "hotcoco" or "faster-coco-eval". None is hotcoco, several times as
            fast, or faster-coco-eval where hotcoco is not installed or boxes are rotated. The numbers are the
            same.

    Raises:
        ImportError: the package is missing.
        ValueError: the two sides do not belong together, naming what is wrong.
    """
    check_truth(ground_truth, iou_type, kpt_oks_sigmas)
    limits = tuple(sorted(max_dets)) if max_dets else ((20,) if iou_type == "keypoints" else (1, 10, 100))

    # The engines know images by whole numbers only; here from 1 in the order of their ids: where scores are
    # equal, the order of images decides.
    image_ids = in_order([image["id"] for image in ground_truth["images"]])
    numbers = {image_id: number for number, image_id in enumerate(image_ids, 1)}
    indices = {category["id"]: index for index, category in enumerate(ground_truth["categories"])}
    field = FIELDS[iou_type]
    try:
        found = _entries(detections, numbers, indices)
        scores = numbers_of(detections, "score")
        complete = all(map(contains, detections, repeat(field)))
    except KeyError:
        complete = False
    if not complete or not np.isfinite(scores).all():
        check_detections(ground_truth, detections, iou_type, kpt_oks_sigmas)  # tells which
    truth = _entries(_annotations(ground_truth, indices), numbers, indices)
    comparison = Comparison(
        truth=truth,
        found=found,
        scores=scores,
        images=[
            {"id": numbers[image["id"]], **{key: image[key] for key in ("height", "width") if key in image}}
            for image in ground_truth["images"]
        ],
        num_classes=len(indices),
        iou_type=iou_type,
        limits=limits,
        sigmas=tuple(kpt_oks_sigmas),
        selected=None if img_ids is None else [numbers[image_id] for image_id in img_ids],
    )
    if iou_type == "segm":
        check_mask_sizes(ground_truth, detections)
    curves = run_engine(choose_engine(engine, comparison.rotated), comparison)

    counts = _counts_as_object(comparison)
    pair, per_image = np.unique(
        truth.images[counts] * len(indices) + truth.classes[counts], return_counts=True
    )
    fullest = int(per_image.argmax()) if len(pair) else None
    groups = found.images * len(indices) + found.classes
    if comparison.selected is not None:
        groups = groups[np.isin(found.images, comparison.selected)]
    left_out = (np.unique(groups, return_counts=True)[1] - limits[-1]).clip(0)
    return CocoScores(
        iou_type=iou_type,
        precision=_nan(curves.precision),
        recall=_nan(curves.recall),
        score=_nan(curves.scores),
        iou_thresholds=curves.iou_thresholds,
        class_names=tuple(str(category["name"]) for category in ground_truth["categories"]),
        areas=curves.areas,
        max_dets=limits,
        num_objects=_count(truth, counts, len(indices), curves.areas),
        num_detections=len(detections),
        most_objects=0 if fullest is None else int(per_image[fullest]),
        fullest_image=None if fullest is None else image_ids[int(pair[fullest]) // len(indices) - 1],
        num_left_out=int(left_out.sum()),
    )


def in_order(values: list[Any]) -> list[Any]:
    """Return ids of images in the order in which they are compared: where scores are equal, it decides."""
    return sorted(values) if len({type(value) for value in values}) == 1 else values


def _entries(
    records: Sequence[Mapping[str, Any]], numbers: Mapping[Any, int], indices: Mapping[Any, int]
) -> Entries:
    images = map(numbers.__getitem__, map(itemgetter("image_id"), records))
    classes = map(indices.__getitem__, map(itemgetter("category_id"), records))
    return Entries(
        records,
        np.fromiter(images, dtype=np.int64, count=len(records)),
        np.fromiter(classes, dtype=np.int64, count=len(records)),
    )


def _nan(values: np.ndarray) -> np.ndarray:
    values[values < 0] = np.nan
    return values


def _annotations(truth: Mapping[str, Any], indices: Mapping[Any, int]) -> Sequence[Mapping[str, Any]]:
    """Return the annotations of the categories that the truth lists."""
    annotations: Sequence[Mapping[str, Any]] = truth["annotations"]
    if {annotation["category_id"] for annotation in annotations} <= indices.keys():
        return annotations
    return [annotation for annotation in annotations if annotation["category_id"] in indices]


def _counts_as_object(comparison: Comparison) -> np.ndarray:
    """Return (G,) bool, what is to be found: no crowds, and with keypoints where these are compared."""
    truth = comparison.truth
    counts = np.array([not annotation.get("iscrowd", 0) for annotation in truth.records], dtype=bool)
    if comparison.iou_type == "keypoints":
        counts &= np.array([any(a.get("keypoints", ())[2::3]) for a in truth.records], dtype=bool)
    if comparison.selected is not None:
        counts &= np.isin(truth.images, comparison.selected)
    return counts


def _count(truth: Entries, counts: np.ndarray, num_classes: int, areas: Sequence[str]) -> np.ndarray:
    """Return how many objects there are, by class and area."""
    area = numbers_of(truth.records, "area")
    result = np.zeros((num_classes, len(areas)), dtype=np.int64)
    for column, name in enumerate(areas):
        low, high = _AREAS.get(name, (-math.inf, math.inf))
        inside = counts & (low <= area) & (area <= high)
        result[:, column] = np.bincount(truth.classes[inside], minlength=num_classes)
    return result
