"""COCO's average precision and recall, and where they come from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Literal

import numpy as np

from lazycfg.evaluation.rotated_overlaps import has_rotated_boxes, rotated_overlaps
from lazycfg.structures.rle import rle_area

__all__ = ["CocoScores", "coco_scores"]

IouType = Literal["bbox", "segm", "keypoints"]

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
        if self.most_objects > self.max_dets[-1]:
            said.append(
                f"image {self.fullest_image!r} has {self.most_objects} objects of one class, and only the "
                f"best {self.max_dets[-1]} detections of a class in an image count, so some can never be "
                f"found: give the evaluator max_dets_per_image={self.most_objects}, and let the model return "
                "as many (test_topk_per_image of its box predictor)"
            )
        if self.num_detections == 0:
            said.append("there are no detections at all")
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


def coco_scores(
    ground_truth: Mapping[str, Any],
    detections: Sequence[Mapping[str, Any]],
    iou_type: IouType,
    *,
    max_dets: Sequence[int] | None = None,
    kpt_oks_sigmas: Sequence[float] = (),
    img_ids: Sequence[Any] | None = None,
) -> CocoScores:
    """Compute COCO's metrics of detections against annotations with faster-coco-eval.

    Args:
        ground_truth: as a COCO annotation file.
        detections: as a COCO results file: "image_id", "category_id", "score" and "bbox" (XYWH),
            "segmentation" (RLE) or "keypoints", whichever ``iou_type`` asks for. Where any box, here or in
            the truth, has five numbers (xc, yc, width, height, angle), boxes are compared as rotated ones.
        iou_type: what to compare.
        max_dets: how many detections per image to look at; the last counts for AP. Default 1, 10, 100; for
            keypoints 20.
        kpt_oks_sigmas: tolerance per keypoint; default: those of COCO's 17.
        img_ids: look at these images only.

    Raises:
        ImportError: faster-coco-eval is missing.
        ValueError: the two sides do not belong together, naming what is wrong.
    """
    tools = coco_tools()
    check_detections(ground_truth, detections, iou_type, kpt_oks_sigmas)
    limits = tuple(max_dets) if max_dets else ((20,) if iou_type == "keypoints" else (1, 10, 100))

    # The evaluation writes into the dicts it is given, and knows images by whole numbers only.
    # In the order of their ids: where scores are equal, the order of images decides.
    image_ids = [image["id"] for image in ground_truth["images"]]
    numbers = {image_id: number for number, image_id in enumerate(in_order(image_ids), 1)}
    frame = {
        "images": [{**image, "id": numbers[image["id"]]} for image in ground_truth["images"]],
        "categories": [dict(category) for category in ground_truth["categories"]],
    }
    truth, found = tools.COCO(), tools.COCO()
    truth.dataset = {
        **frame,
        "annotations": [
            {**_annotation(annotation, iou_type), "image_id": numbers[annotation["image_id"]]}
            for annotation in ground_truth["annotations"]
        ],
    }
    found.dataset = {
        **frame,
        "annotations": [
            {**_detection(detection, iou_type), "image_id": numbers[detection["image_id"]], "id": number}
            for number, detection in enumerate(detections, 1)
        ],
    }
    truth.createIndex()
    found.createIndex()

    sigmas = list(kpt_oks_sigmas) or None
    evaluation = tools.COCOeval_faster(
        truth,
        found,
        iou_type,
        print_function=_quiet,
        kpt_oks_sigmas=sigmas if iou_type == "keypoints" else None,
    )
    evaluation.params.maxDets = list(limits)
    evaluation.params.catIds = [category["id"] for category in ground_truth["categories"]]
    if img_ids is not None:
        evaluation.params.imgIds = [numbers[image_id] for image_id in img_ids]
    if iou_type == "bbox" and (
        has_rotated_boxes(ground_truth["annotations"]) or has_rotated_boxes(detections)
    ):
        evaluation.computeIoU = rotated_overlaps(evaluation)
    evaluation.evaluate()
    evaluation.accumulate()

    order = np.argsort([category["id"] for category in ground_truth["categories"]], kind="stable")
    back = np.argsort(order, kind="stable")  # the evaluation sorts the classes by id
    areas = tuple(evaluation.params.areaRngLbl)
    counted = _countable(ground_truth, iou_type, img_ids)
    num_objects = _count(counted, ground_truth, areas)
    by_image = Counter((a["image_id"], a["category_id"]) for a in counted)
    (fullest, _), most = max(by_image.items(), key=itemgetter(1), default=((None, None), 0))
    precision = _nan(evaluation.eval["precision"])[:, :, back]
    recall = _nan(evaluation.eval["recall"])[:, back]
    return CocoScores(
        iou_type=iou_type,
        precision=precision,
        recall=recall,
        score=_nan(evaluation.eval["scores"])[:, :, back],
        iou_thresholds=np.asarray(evaluation.params.iouThrs),
        class_names=tuple(str(category["name"]) for category in ground_truth["categories"]),
        areas=areas,
        max_dets=tuple(sorted(limits)),
        num_objects=num_objects,
        num_detections=len(detections),
        most_objects=most,
        fullest_image=fullest,
    )


def coco_tools() -> Any:
    """Return faster-coco-eval.

    Raises:
        ImportError: it is missing.
    """
    try:
        import faster_coco_eval
    except ImportError as error:
        raise ImportError("COCO's metrics need faster-coco-eval: pip install 'lazycfg[eval]'") from error
    return faster_coco_eval


def in_order(values: list[Any]) -> list[Any]:
    """Return ids of images in the order in which they are compared: where scores are equal, it decides."""
    return sorted(values) if len({type(value) for value in values}) == 1 else values


def _quiet(*_: Any) -> None: ...


def _nan(values: Any) -> np.ndarray:
    array = np.array(values, dtype=np.float64)
    array[array < 0] = np.nan
    return array


def check_detections(
    truth: Mapping[str, Any],
    detections: Sequence[Mapping[str, Any]],
    iou_type: str,
    sigmas: Sequence[float] = (),
) -> None:
    """Raise ValueError if detections and annotations do not belong together, see `coco_scores`."""
    field = {"bbox": "bbox", "segm": "segmentation", "keypoints": "keypoints"}.get(iou_type)
    if field is None:
        raise ValueError(f"iou_type={iou_type!r}: expected 'bbox', 'segm' or 'keypoints'")
    images = {image["id"] for image in truth["images"]}
    categories = {category["id"] for category in truth["categories"]}
    for index, detection in enumerate(detections):
        if field not in detection:
            have = ", ".join(detection)
            raise ValueError(f"detection {index} has no {field!r}, needed for {iou_type!r}; it has {have}")
        if detection["image_id"] not in images:
            raise ValueError(
                f"detection {index} is on image {detection['image_id']!r}, not one of the dataset's"
            )
        if detection["category_id"] not in categories:
            raise ValueError(
                f"detection {index} is of category {detection['category_id']}; the annotations have "
                f"{len(categories)} categories from {min(categories, default=None)} to "
                f"{max(categories, default=None)}"
            )
    lacking = [a for a in truth["annotations"] if not a.get(field)]
    # Objects without keypoints are left out of that evaluation, but there must be some with.
    if lacking and (iou_type == "segm" or len(lacking) == len(truth["annotations"])):
        raise ValueError(
            f"{len(lacking)} of {len(truth['annotations'])} annotations have no {field!r} (the first on "
            f"image {lacking[0]['image_id']!r}), so {iou_type!r} cannot be evaluated"
        )
    if iou_type == "keypoints" and truth["annotations"]:
        count = max(len(a.get("keypoints", ())) for a in truth["annotations"]) // 3
        expected = len(sigmas) or 17
        if count != expected:
            raise ValueError(
                f"the annotations have {count} keypoints and kpt_oks_sigmas has {expected}"
                + ("" if sigmas else " (COCO's): give one sigma per keypoint")
            )


def _annotation(annotation: Mapping[str, Any], iou_type: str) -> dict[str, Any]:
    result = dict(annotation)
    if iou_type == "keypoints":
        result.setdefault("keypoints", [])
        result["num_keypoints"] = sum(v > 0 for v in result["keypoints"][2::3])
    return result


def _detection(detection: Mapping[str, Any], iou_type: str) -> dict[str, Any]:
    result = {"category_id": detection["category_id"], "score": detection["score"], "iscrowd": 0}
    if iou_type == "bbox":
        result["bbox"] = detection["bbox"]
        result["area"] = detection["bbox"][2] * detection["bbox"][3]
    elif iou_type == "segm":
        # The box is not passed on: small and large go by the mask.
        result["segmentation"] = detection["segmentation"]
        result["area"] = rle_area(detection["segmentation"])
    else:
        keypoints = detection["keypoints"]
        x, y = keypoints[0::3], keypoints[1::3]
        result["keypoints"] = keypoints
        result["bbox"] = [min(x), min(y), max(x) - min(x), max(y) - min(y)]
        # A detection without a match is small or large by its box where it has one, as COCO reads such files.
        _, _, width, height = detection.get("bbox") or result["bbox"]
        result["area"] = width * height
    return result


def _countable(
    truth: Mapping[str, Any], iou_type: str, img_ids: Sequence[Any] | None
) -> list[Mapping[str, Any]]:
    """Return the annotations that are to be found: no crowds, and with keypoints where these are compared."""
    wanted = None if img_ids is None else set(img_ids)
    return [
        annotation
        for annotation in truth["annotations"]
        if not annotation.get("iscrowd", 0)
        and (iou_type != "keypoints" or any(annotation.get("keypoints", ())[2::3]))
        and (wanted is None or annotation["image_id"] in wanted)
    ]


def _count(
    annotations: Sequence[Mapping[str, Any]], truth: Mapping[str, Any], areas: Sequence[str]
) -> np.ndarray:
    """Return how many objects there are, by class and area."""
    counts: Counter[tuple[Any, str]] = Counter()
    for annotation in annotations:
        counts[annotation["category_id"], "all"] += 1
        for area in areas[1:]:
            low, high = _AREAS[area]
            counts[annotation["category_id"], area] += low <= annotation["area"] <= high
    return np.array([[counts[c["id"], area] for area in areas] for c in truth["categories"]]).reshape(
        -1, len(areas)
    )
