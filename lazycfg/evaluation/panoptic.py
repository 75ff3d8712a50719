"""Panoptic quality (Kirillov et al., Panoptic Segmentation, arXiv:1801.00868)."""

from __future__ import annotations

import logging
import math
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lazycfg.evaluation.evaluator import ImageQuality, Results, WritingEvaluator
from lazycfg.evaluation.json_files import to_json
from lazycfg.evaluation.label_maps import RecordIndex, read_panoptic, segments_of_labels
from lazycfg.evaluation.panoptic_files import write_segments
from lazycfg.evaluation.tables import metrics_table, per_class_table
from lazycfg.utils import atomic_write, gather, is_main_process

__all__ = ["COCOPanopticEvaluator", "PanopticCounts", "panoptic_counts"]

logger = logging.getLogger(__name__)

Kind = tuple[bool, int]
"""Whether it is a thing, and the contiguous id of the class among things or stuff."""
PanopticCounts = dict[Kind, np.ndarray]
"""For each class: sum of the IoU of matches, matches, false positives, false negatives."""


class COCOPanopticEvaluator(WritingEvaluator):
    """Measure panoptic, segmentation and recognition quality (PQ, SQ, RQ) of all classes, things and stuff.

    Results under "panoptic_seg": PQ, SQ, RQ, PQ_th, SQ_th, RQ_th, PQ_st, SQ_st, RQ_st.

    Args:
        dataset: has ``metadata`` with ``thing_classes`` and ``stuff_classes``, and records with
            "segments_info" (dicts with "id", "isthing", contiguous "category_id", "iscrowd") and "pan_seg"
            (H, W) ids or "pan_seg_file_name".
        output_dir: if given, ``predictions.json`` and a PNG file of segment ids for each image, in
            ``predictions/``, are written there, in COCO's format for panoptic results. Several processes must
            share it.
        distributed: add up the counts of all processes.
    """

    def __init__(
        self, *, dataset: Any, output_dir: str | os.PathLike[str] | None = None, distributed: bool = True
    ) -> None:
        super().__init__(output_dir)
        self.dataset = dataset
        self.metadata = dataset.metadata
        self.distributed = distributed
        self._records = RecordIndex(dataset)
        self.reset()

    def reset(self) -> None:
        """Forget all counts."""
        self._counts: PanopticCounts = {}
        self._written: list[dict[str, Any]] = []
        self._quality: ImageQuality = {}
        self._details: Results = {}

    def process(self, inputs: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]]) -> None:
        """Take in the predicted segments of a batch.

        Args:
            inputs: dicts with "image_id".
            outputs: dicts with "panoptic_seg": segment ids (H, W), 0 for none, and their list of dicts with
                "id", "isthing" and "category_id"; or labels that tell their classes, and None, see
                `segments_of_labels`.

        Raises:
            ValueError: the segments have another size than the image.
        """
        for item, output in zip(inputs, outputs, strict=True):
            segments, info = output["panoptic_seg"]
            true_segments, true_info = read_panoptic(self._records[item["image_id"]])
            found = segments.cpu().numpy().astype(np.int64)
            if found.shape != true_segments.shape:
                raise ValueError(
                    f"image {item['image_id']!r}: segments of {found.shape} pixels, the truth has "
                    f"{true_segments.shape}"
                )
            if info is None:
                info = segments_of_labels(found, self.metadata)
            self._write(item["image_id"], found, info)
            counts = panoptic_counts(found, info, true_segments, true_info)
            _add(self._counts, counts)
            if counts:
                each = [_quality(numbers)[0] for numbers in counts.values()]
                self._quality[item["image_id"]] = sum(each) / len(each)

    def evaluate(self) -> Results | None:
        """Return the results of all images."""
        counts, written = self._counts, self._written
        if self.distributed:
            parts = gather((counts, written, self._quality))
            if not is_main_process():
                return None
            counts, written = {}, []
            self._quality = {}
            for part, entries, quality in parts:
                _add(counts, part)
                written += entries
                self._quality |= quality
        if (path := self.file("predictions.json")) is not None:
            with atomic_write(path) as partial:
                partial.write_text(to_json({"annotations": written}))
        results = {}
        for suffix, wanted in (("", (True, False)), ("_th", (True,)), ("_st", (False,))):
            rows = [_quality(c) for (isthing, _), c in counts.items() if isthing in wanted and c[1:].any()]
            for name, values in zip(
                ("PQ", "SQ", "RQ"), zip(*rows, strict=True) if rows else [()] * 3, strict=True
            ):
                results[name + suffix] = 100 * sum(values) / len(values) if values else math.nan
        logger.info("Evaluation results for panoptic_seg:\n%s", metrics_table(results))
        if counts:
            logger.info("Per class, panoptic_seg:\n%s", per_class_table(self._rows(counts)))
        self._details = {"panoptic_seg": {"per_class": self._rows(counts)}}
        return {"panoptic_seg": results}

    def details(self) -> tuple[Results, ImageQuality]:
        """Return numbers by class, and the PQ of each image."""
        return self._details, self._quality

    def _write(self, image_id: Any, segments: np.ndarray, info: Sequence[Mapping[str, Any]]) -> None:
        name = f"{image_id}.png"
        path = self.file(f"predictions/{name}")
        if path is not None:
            entries = write_segments(path, segments, info, self.metadata)
            self._written.append({"image_id": image_id, "file_name": name, "segments_info": entries})

    def _rows(self, counts: PanopticCounts) -> list[dict[str, Any]]:
        rows = []
        for (isthing, category), numbers in sorted(counts.items(), reverse=True):
            names = getattr(self.metadata, "thing_classes" if isthing else "stuff_classes", None) or ()
            quality = [100 * value for value in _quality(numbers)]
            rows.append(
                {
                    "class": names[category] if category < len(names) else str(category),
                    "kind": "thing" if isthing else "stuff",
                    **dict(zip(("PQ", "SQ", "RQ"), quality, strict=True)),
                    "matched": int(numbers[1]),
                    "wrong": int(numbers[2]),
                    "missed": int(numbers[3]),
                }
            )
        return rows


def panoptic_counts(
    segments: np.ndarray,
    info: Sequence[Mapping[str, Any]],
    true_segments: np.ndarray,
    true_info: Sequence[Mapping[str, Any]],
) -> PanopticCounts:
    """Match the segments (H, W) of one image.

    Two segments of one class match when their intersection is more than half of their union, pixels without
    truth left aside; at most one match is possible. A segment that lies mostly where there is no truth, or in
    a crowd of its class, is not held against the prediction.
    """
    counts: dict[Kind, np.ndarray] = defaultdict(lambda: np.zeros(4))
    found = {int(s["id"]): (bool(s["isthing"]), int(s["category_id"])) for s in info}
    true = {int(s["id"]): (bool(s["isthing"]), int(s["category_id"])) for s in true_info}
    crowds = {int(s["id"]) for s in true_info if s.get("iscrowd", 0)}

    ids, positions = np.unique(segments, return_inverse=True)
    true_ids, true_positions = np.unique(true_segments, return_inverse=True)
    pairs = np.bincount(
        true_positions.ravel() * len(ids) + positions.ravel(), minlength=len(ids) * len(true_ids)
    )
    overlap = pairs.reshape(len(true_ids), len(ids))
    area, true_area = overlap.sum(axis=0), overlap.sum(axis=1)
    # Pixels of segments that are not listed are without truth too.
    void = overlap[[index for index, id in enumerate(true_ids.tolist()) if id not in true]].sum(axis=0)
    column = {id: index for index, id in enumerate(ids.tolist()) if id in found}
    row = {id: index for index, id in enumerate(true_ids.tolist()) if id in true}

    matched: set[int] = set()
    matched_true: set[int] = set()
    for true_id, i in row.items():
        if true_id in crowds:
            continue
        for id, j in column.items():
            if overlap[i, j] and found[id] == true[true_id]:
                iou = overlap[i, j] / (area[j] + true_area[i] - overlap[i, j] - void[j])
                if iou > 0.5:
                    counts[true[true_id]] += (iou, 1, 0, 0)
                    matched.add(id)
                    matched_true.add(true_id)
    for true_id, kind in true.items():
        if true_id in row and true_id not in crowds and true_id not in matched_true:
            counts[kind] += (0, 0, 0, 1)
    for id, j in column.items():
        if id in matched:
            continue
        excused = void[j] + sum(overlap[row[c], j] for c in crowds if c in row and true[c] == found[id])
        if excused / area[j] <= 0.5:
            counts[found[id]] += (0, 0, 1, 0)
    return dict(counts)


def _quality(counts: np.ndarray) -> tuple[float, float, float]:
    """Return panoptic, segmentation and recognition quality in [0, 1]."""
    iou, matched, wrong, missed = counts
    total = matched + 0.5 * (wrong + missed)
    if total == 0:
        return 0.0, 0.0, 0.0
    return iou / total, iou / matched if matched else 0.0, matched / total


def _add(counts: PanopticCounts, more: PanopticCounts) -> None:
    for kind, numbers in more.items():
        counts[kind] = counts.get(kind, np.zeros(4)) + numbers
