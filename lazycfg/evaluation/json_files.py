"""Results as JSON, and evaluating a file of detections against a file of annotations."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lazycfg.evaluation.coco_engines import Engine, IouType
from lazycfg.evaluation.coco_ground_truth import segmentation_area
from lazycfg.evaluation.coco_scores import CocoScores, coco_scores

__all__ = ["evaluate_json", "read_results", "to_json"]

_SHOWN = 60  # characters of a wrong value in a message


def to_json(content: Any, *, indent: int | None = None) -> str:
    """Return results as JSON that every reader takes: numbers that JSON lacks (NaN, infinity) are null.

    Numbers and arrays of numpy and torch become plain ones; any other object is written as its text.
    """
    return json.dumps(_plain(content), indent=indent, allow_nan=False)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return str(value)


def evaluate_json(
    annotations_json: str | os.PathLike[str],
    detections_json: str | os.PathLike[str],
    iou_type: IouType = "bbox",
    *,
    max_dets: Sequence[int] | None = None,
    kpt_oks_sigmas: Sequence[float] = (),
    engine: Engine | None = None,
) -> CocoScores:
    """Compute COCO's metrics of a results file. Neither images nor a model are needed.

    Args:
        annotations_json: a COCO annotation file.
        detections_json: a list of detections in COCO's format for results.
        iou_type: "bbox", "segm" or "keypoints".
        max_dets, kpt_oks_sigmas, engine: as in `coco_scores`.

    Returns:
        the scores: ``.metrics()`` and ``.recalls()`` in percent, ``.per_class()``, curves.

    Raises:
        OSError: a file cannot be read.
        ValueError: the files are not what they should be, or do not belong together; names file and record.
    """
    truth, detections = read_results(annotations_json, detections_json, iou_type)
    try:
        return coco_scores(
            truth, detections, iou_type, max_dets=max_dets, kpt_oks_sigmas=kpt_oks_sigmas, engine=engine
        )
    except ValueError as error:
        raise ValueError(f"{detections_json} against {annotations_json}: {error}") from error


def read_results(
    annotations_json: str | os.PathLike[str], detections_json: str | os.PathLike[str], iou_type: str
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Read an annotation file and a results file of COCO.

    Args:
        annotations_json: an annotation without "area" is given that of its segmentation, else of its box.
        detections_json: a list of detections.
        iou_type: "bbox", "segm" or "keypoints": what the detections must have.

    Returns:
        the two contents.

    Raises:
        OSError: a file cannot be read.
        ValueError: the files are not what they should be; names file and record.
    """
    truth = _read(annotations_json)
    if not isinstance(truth, dict) or not {"images", "annotations", "categories"} <= set(truth):
        raise ValueError(
            f"{annotations_json} is no COCO annotation file: no images, annotations and categories"
        )
    _check_truth(annotations_json, truth)
    detections = _read(detections_json)
    if not isinstance(detections, list):
        raise ValueError(
            f"{detections_json} holds a {type(detections).__name__}; expected a list of detections"
        )
    _check_detections(detections_json, detections, iou_type)
    for annotation in truth["annotations"]:
        if annotation.get("area") is None:
            annotation["area"] = _area_of(annotation)
    return truth, detections


def _area_of(annotation: Mapping[str, Any]) -> float:
    if annotation.get("segmentation"):
        return segmentation_area(annotation["segmentation"])
    box = annotation.get("bbox") or (0.0, 0.0, 0.0, 0.0)
    return float(box[2] * box[3])


def _read(path: str | os.PathLike[str]) -> Any:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8: {error}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    except RecursionError as error:
        raise ValueError(f"{path} is nested too deeply for JSON of annotations or detections") from error


# -- what the records must hold. A field is (name, whether it must be there, what it must be, in words)

_Field = tuple[str, bool, Callable[[Any], bool], str]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_id(value: Any) -> bool:
    return isinstance(value, (int, str)) and not isinstance(value, bool)


def _is_numbers(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_number, value))


def _is_box(value: Any) -> bool:
    return _is_numbers(value) and len(value) in (4, 5)


def _is_points(value: Any) -> bool:
    return _is_numbers(value) and len(value) % 3 == 0 and len(value) > 0


def _is_rle(value: Any) -> bool:
    size = value.get("size") if isinstance(value, dict) else None
    if not (_is_numbers(size) and len(size) == 2):
        return False
    counts = value.get("counts")
    return isinstance(counts, str) or (_is_numbers(counts) and all(type(each) is int for each in counts))


def _is_segmentation(value: Any) -> bool:
    return _is_rle(value) or (isinstance(value, list) and all(map(_is_numbers, value)))


_ID = "a whole number or a text"
_BOX: _Field = ("bbox", True, _is_box, "4 finite numbers (x, y, width, height), or 5 of a rotated box")
_OUTPUTS: dict[str, _Field] = {
    "bbox": _BOX,
    "segm": ("segmentation", True, _is_rle, "a run-length encoding {size: [h, w], counts: ...}"),
    "keypoints": ("keypoints", True, _is_points, "finite numbers, three for each keypoint (x, y, score)"),
}


def _check_detections(file: Any, detections: list[Any], iou_type: str) -> None:
    fields: list[_Field] = [
        ("image_id", True, _is_id, _ID),
        ("category_id", True, _is_id, _ID),
        ("score", True, _is_number, "a finite number"),
    ]
    if iou_type in _OUTPUTS:
        fields.append(_OUTPUTS[iou_type])
    for index, detection in enumerate(detections):
        _check_record(f"{file}: detection {index}", detection, fields)


def _check_truth(file: Any, truth: dict[str, Any]) -> None:
    annotation: list[_Field] = [
        ("image_id", True, _is_id, _ID),
        ("category_id", True, _is_id, _ID),
        (_BOX[0], False, *_BOX[2:]),
        ("area", False, _is_number, "a finite number"),
        ("segmentation", False, _is_segmentation, "a list of polygons or a run-length encoding"),
        ("keypoints", False, _is_numbers, "a list of finite numbers"),
    ]
    kinds: dict[str, list[_Field]] = {
        "images": [("id", True, _is_id, _ID)],
        "categories": [("id", True, _is_id, _ID), ("name", True, _is_id, "a text")],
        "annotations": annotation,
    }
    for kind, fields in kinds.items():
        if not isinstance(truth[kind], list):
            raise ValueError(f"{file}: {kind} is a {type(truth[kind]).__name__}; expected a list")
        for index, record in enumerate(truth[kind]):
            _check_record(f"{file}: {kind}[{index}]", record, fields)
    images = {image["id"] for image in truth["images"]}
    for index, record in enumerate(truth["annotations"]):
        if record["image_id"] not in images:
            raise ValueError(
                f"{file}: annotations[{index}] is on image {record['image_id']!r}, which the file has not"
            )


def _check_record(where: str, record: Any, fields: Sequence[_Field]) -> None:
    if not isinstance(record, dict):
        raise ValueError(f"{where} is {_short(record)}; expected a dict")
    who = f" (on image {_short(record['image_id'])})" if "image_id" in record else ""
    for name, needed, is_right, expected in fields:
        value = record.get(name)
        if value is None:
            if needed:
                raise ValueError(
                    f"{where}{who} has no {name!r}; it has {', '.join(map(str, record)) or 'nothing'}"
                )
        elif not is_right(value):
            raise ValueError(f"{where}{who}: {name} is {_short(value)}; expected {expected}")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
