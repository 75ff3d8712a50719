"""The packages that match detections to objects and count, behind one function."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter, methodcaller
from typing import Any, Literal

import numpy as np

from lazycfg.evaluation.rotated_overlaps import has_rotated_boxes, rotated_overlaps
from lazycfg.structures.rle import rle_area

__all__ = [
    "ENGINES",
    "Comparison",
    "Curves",
    "Engine",
    "Entries",
    "choose_engine",
    "mask_tools",
    "run_engine",
]

IouType = Literal["bbox", "segm", "keypoints"]
Engine = Literal["hotcoco", "faster-coco-eval"]

ENGINES: dict[str, str] = {"hotcoco": "hotcoco", "faster-coco-eval": "faster_coco_eval"}
"""The packages, the preferred one first, and the names of their modules."""


@dataclass(frozen=True)
class Entries:
    """Annotations or detections, in an order that decides where scores are equal.

    Attributes:
        records: the dicts as in a COCO file.
        images: (N,) int64, numbers of their images from 1.
        classes: (N,) int64, indices of their categories from 0.
    """

    records: Sequence[Mapping[str, Any]]
    images: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True)
class Comparison:
    """What is compared, and how.

    Attributes:
        truth, found: the two sides; `scores` (N,) float64 are those of `found`.
        images: dicts with "id" (numbers from 1), and "height" and "width" in pixels where they are known.
        num_classes: how many categories there are.
        limits: detections of an image and class that count, the best first.
        sigmas: tolerance of each keypoint; () for COCO's 17.
        selected: the numbers of the images to compare; None for all.
    """

    truth: Entries
    found: Entries
    scores: np.ndarray
    images: Sequence[Mapping[str, Any]]
    num_classes: int
    iou_type: IouType
    limits: tuple[int, ...]
    sigmas: tuple[float, ...]
    selected: Sequence[int] | None

    @property
    def rotated(self) -> bool:
        """Whether boxes are compared of which any is a rotated one."""
        return self.iou_type == "bbox" and (
            has_rotated_boxes(self.truth.records) or has_rotated_boxes(self.found.records)
        )


@dataclass(frozen=True)
class Curves:
    """What an engine counts; -1 where there is nothing to be found.

    Attributes:
        precision, scores: (thresholds, 101 recalls, classes, areas, limits).
        recall: (thresholds, classes, areas, limits).
        iou_thresholds: (thresholds,).
        areas: their names, "all" first.
    """

    precision: np.ndarray
    recall: np.ndarray
    scores: np.ndarray
    iou_thresholds: np.ndarray
    areas: tuple[str, ...]


def choose_engine(wanted: str | None, rotated: bool) -> Engine:
    """Return which package compares: `wanted`, or the first one that is installed and can do it.

    Raises:
        ImportError: it is not installed.
        ValueError: there is no such engine, or it cannot compare rotated boxes.
    """
    if wanted is not None and wanted not in ENGINES:
        raise ValueError(f"engine={wanted!r}: expected one of {list(ENGINES)}, or None for the fastest")
    if wanted == "hotcoco" and rotated:
        raise ValueError("engine='hotcoco' does not compare rotated boxes: give None or 'faster-coco-eval'")
    able: list[Any] = [name for name in ENGINES if not (rotated and name == "hotcoco")]
    for name in able if wanted is None else [wanted]:
        if _is_installed(ENGINES[name]):
            return name
    missing = wanted or " or ".join(able)
    raise ImportError(f"COCO's metrics need {missing}: pip install 'lazycfg[eval]'")


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:  # taken away: sys.modules has None
        return False


def mask_tools() -> Any:
    """Return the functions on run lengths (``frPyObjects``, ``merge``) of the engine at hand."""
    return importlib.import_module(ENGINES[choose_engine(None, rotated=False)]).mask


def run_engine(engine: Engine, comparison: Comparison) -> Curves:
    """Match detections to objects, and count."""
    evaluation = _hotcoco(comparison) if engine == "hotcoco" else _faster_coco_eval(comparison)
    evaluation.evaluate()
    evaluation.accumulate()
    counted = evaluation.eval
    return Curves(
        np.array(counted["precision"], dtype=np.float64),
        np.array(counted["recall"], dtype=np.float64),
        np.array(counted["scores"], dtype=np.float64),
        np.asarray(evaluation.params.iouThrs, dtype=np.float64),
        tuple(evaluation.params.areaRngLbl),
    )


# -- hotcoco: columns where it takes them, which is much faster than dicts


def _hotcoco(comparison: Comparison) -> Any:
    import hotcoco

    truth, found, kind = comparison.truth, comparison.found, comparison.iou_type
    images = [dict(image) for image in comparison.images]
    categories = [{"id": index, "name": str(index)} for index in range(comparison.num_classes)]
    if kind == "keypoints":
        frame = {"images": images, "categories": categories}
        sides = [
            hotcoco.COCO({**frame, "annotations": _dicts(truth, _annotation, kind)}),
            hotcoco.COCO({**frame, "annotations": _dicts(found, _detection, kind)}),
        ]
    else:
        objects = hotcoco.COCO.from_arrays(
            images,
            categories,
            truth.images,
            truth.classes,
            _boxes(truth.records),
            area=numbers_of(truth.records, "area"),
            iscrowd=np.array([bool(a.get("iscrowd", 0)) for a in truth.records], dtype=np.int64),
            segmentation=[_plain_mask(a["segmentation"]) for a in truth.records] if kind == "segm" else None,
        )
        boxes, masks = _boxes(found.records) if kind == "bbox" else None, None
        if boxes is None:
            # hotcoco takes the area of a detection from its box; small and large are to go by the mask
            masks = [_plain_mask(detection["segmentation"]) for detection in found.records]
            boxes = np.zeros((len(masks), 4))
            boxes[:, 2:] = np.column_stack((hotcoco.mask.area(masks), np.ones(len(masks))))
        detections = np.column_stack((found.images, boxes, comparison.scores, found.classes))
        sides = [objects, objects.load_res(detections, segmentation=masks)]
    evaluation = hotcoco.COCOeval(*sides, kind)
    evaluation.params.max_dets = list(comparison.limits)
    evaluation.params.cat_ids = list(range(comparison.num_classes))
    if comparison.selected is not None:
        evaluation.params.img_ids = list(comparison.selected)
    if kind == "keypoints" and comparison.sigmas:
        evaluation.params.kpt_oks_sigmas = list(comparison.sigmas)
    return evaluation


def _boxes(records: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Return (N, 4) float64; a record without a box, whose mask is compared, has one of zeros."""
    try:
        return _flat(map(itemgetter("bbox"), records), len(records))
    except KeyError:  # what has defaults takes half as long again
        return _flat(map(methodcaller("get", "bbox", (0.0, 0.0, 0.0, 0.0)), records), len(records))


def _flat(boxes: Iterable[Sequence[float]], count: int) -> np.ndarray:
    return np.fromiter(chain.from_iterable(boxes), dtype=np.float64, count=4 * count).reshape(count, 4)


def numbers_of(records: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    """Return (N,) float64 of one key."""
    return np.fromiter(map(itemgetter(name), records), dtype=np.float64, count=len(records))


def _plain_mask(segmentation: Any) -> Any:
    """Return polygons or run lengths, these as text or a list."""
    if type(segmentation) is dict and type(segmentation["counts"]) in (bytes, str, list):
        return segmentation  # of the usual types, for which `isinstance` would be asked a million times
    if isinstance(segmentation, Mapping) and not isinstance(segmentation["counts"], (str, bytes, list)):
        return {"size": list(segmentation["size"]), "counts": np.asarray(segmentation["counts"]).tolist()}
    return segmentation


# -- faster-coco-eval


def _faster_coco_eval(comparison: Comparison) -> Any:
    import faster_coco_eval

    kind = comparison.iou_type
    frame = {
        # Where a size is not known masks are run lengths, which have their own.
        "images": [{"height": 1, "width": 1, **image} for image in comparison.images],
        "categories": [{"id": index, "name": str(index)} for index in range(comparison.num_classes)],
    }
    sides = []
    for entries, convert in ((comparison.truth, _annotation), (comparison.found, _detection)):
        side = faster_coco_eval.COCO()
        side.dataset = {**frame, "annotations": _dicts(entries, convert, kind)}
        side.createIndex()
        sides.append(side)
    evaluation = faster_coco_eval.COCOeval_faster(
        *sides,
        kind,
        print_function=_quiet,
        kpt_oks_sigmas=list(comparison.sigmas) or None if kind == "keypoints" else None,
    )
    evaluation.params.maxDets = list(comparison.limits)
    evaluation.params.catIds = list(range(comparison.num_classes))
    if comparison.selected is not None:
        evaluation.params.imgIds = list(comparison.selected)
    if comparison.rotated:
        evaluation.computeIoU = rotated_overlaps(evaluation)
    return evaluation


def _quiet(*_: Any) -> None: ...


def _dicts(entries: Entries, convert: Any, iou_type: IouType) -> list[dict[str, Any]]:
    """Return new dicts: the evaluations write into what they are given."""
    columns = (entries.images.tolist(), entries.classes.tolist())
    return [
        {**convert(record, iou_type), "id": number, "image_id": image, "category_id": label}
        for number, (record, image, label) in enumerate(zip(entries.records, *columns, strict=True), 1)
    ]


def _annotation(annotation: Mapping[str, Any], iou_type: IouType) -> dict[str, Any]:
    result = dict(annotation)
    if iou_type == "keypoints":
        result.setdefault("keypoints", [])
        result["num_keypoints"] = sum(v > 0 for v in result["keypoints"][2::3])
    elif iou_type == "segm":
        result["segmentation"] = _plain_mask(result["segmentation"])
    return result


def _detection(detection: Mapping[str, Any], iou_type: IouType) -> dict[str, Any]:
    result = {"score": detection["score"], "iscrowd": 0}
    if iou_type == "bbox":
        result["bbox"] = detection["bbox"]
        result["area"] = detection["bbox"][2] * detection["bbox"][3]
    elif iou_type == "segm":
        # The box is not passed on: small and large go by the mask.
        result["segmentation"] = _plain_mask(detection["segmentation"])
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
