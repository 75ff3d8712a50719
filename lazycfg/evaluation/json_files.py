"""Evaluating a file of detections against a file of annotations."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lazycfg.evaluation.coco_scores import CocoScores, IouType, coco_scores

__all__ = ["evaluate_json"]


def evaluate_json(
    annotations_json: str | os.PathLike[str],
    detections_json: str | os.PathLike[str],
    iou_type: IouType = "bbox",
    *,
    max_dets: Sequence[int] | None = None,
    kpt_oks_sigmas: Sequence[float] = (),
) -> CocoScores:
    """COCO's metrics of a results file.

    Args:
        annotations_json: a COCO annotation file.
        detections_json: a list of detections in COCO's format for results.
        iou_type: "bbox", "segm" or "keypoints".
        max_dets, kpt_oks_sigmas: as in `coco_scores`.

    Returns:
        the scores: ``.metrics()`` and ``.recalls()`` in percent, ``.per_class()``, curves.

    Raises:
        ValueError: the files are not what they should be, or do not belong together.
    """
    truth = _read(annotations_json)
    if not isinstance(truth, dict) or not {"images", "annotations", "categories"} <= set(truth):
        raise ValueError(
            f"{annotations_json} is no COCO annotation file: no images, annotations and categories"
        )
    detections = _read(detections_json)
    if not isinstance(detections, list):
        raise ValueError(
            f"{detections_json} holds a {type(detections).__name__}; expected a list of detections"
        )
    try:
        return coco_scores(truth, detections, iou_type, max_dets=max_dets, kpt_oks_sigmas=kpt_oks_sigmas)
    except ValueError as error:
        raise ValueError(f"{detections_json} against {annotations_json}: {error}") from error


def _read(path: str | os.PathLike[str]) -> Any:
    try:
        return json.loads(Path(path).read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
