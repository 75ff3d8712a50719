"""Accuracy of a label for every pixel."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from lazycfg.evaluation.details import confusion_details
from lazycfg.evaluation.evaluator import ImageQuality, Results, WritingEvaluator
from lazycfg.evaluation.json_files import to_json
from lazycfg.evaluation.label_maps import RecordIndex, read_sem_seg
from lazycfg.evaluation.tables import distinct_names, metrics_table
from lazycfg.structures.rle import encode_mask
from lazycfg.utils import atomic_write, gather, is_main_process

__all__ = ["SemSegEvaluator"]

logger = logging.getLogger(__name__)


class SemSegEvaluator(WritingEvaluator):
    """Measure intersection over union and pixel accuracy of semantic segmentation, in percent.

    Results under "sem_seg": mIoU, fwIoU (weighted by how frequent a class is), mACC, pACC, ``IoU-<class>``,
    ``ACC-<class>``, ``BoundaryIoU-<class>`` and ``min(IoU, B-Iou)-<class>``. The means are over the classes
    that occur in the ground truth; of other classes the numbers are NaN.

    Boundary IoU (Cheng et al., "Boundary IoU", arXiv:2103.16562) compares, for each class, the pixels no
    further than 2 % of the image's diagonal from the contour of its region. detectron2's number of that name
    subtracts eroded label maps, which mixes the classes; this one is the paper's.

    Args:
        dataset: has ``metadata.stuff_classes`` (and ``ignore_label``), and records with "sem_seg" or
            "sem_seg_file_name".
        num_classes: how many labels the model tells apart; default: one for each of ``stuff_classes``.
        boundary_iou: whether to measure it; about a third of the time of an image.
        output_dir: if given, ``sem_seg_predictions.json`` is written there, COCO's format for results of
            stuff: of every image and label a dict with "file_name", "image_id", "category_id" as in the
            dataset's files, and "segmentation", run lengths.
        distributed: add up the counts of all processes.

    Raises:
        ValueError: the data set has no stuff_classes, and num_classes is not given.
    """

    def __init__(
        self,
        *,
        dataset: Any,
        num_classes: int | None = None,
        boundary_iou: bool = True,
        output_dir: str | os.PathLike[str] | None = None,
        distributed: bool = True,
    ) -> None:
        super().__init__(output_dir)
        self.dataset = dataset
        names = list(getattr(dataset.metadata, "stuff_classes", None) or ())
        self.num_classes = num_classes or len(names)
        if not self.num_classes:
            raise ValueError("SemSegEvaluator: the dataset has no stuff_classes; give num_classes")
        names = [names[i] if i < len(names) else str(i) for i in range(self.num_classes)]
        self.class_names = distinct_names(names)
        self.boundary_iou = boundary_iou
        self.ignore_label = getattr(dataset.metadata, "ignore_label", 255)
        self.distributed = distributed
        self._records = RecordIndex(dataset)
        self.reset()

    def reset(self) -> None:
        """Forget all counts."""
        # Rows: truth, columns: prediction
        self._confusion = np.zeros((self.num_classes, self.num_classes), dtype=np.int64)
        # Pixels near contours by class: of the truth, of the prediction, of both
        self._boundary = np.zeros((3, self.num_classes), dtype=np.int64)
        self._written: list[dict[str, Any]] = []
        self._quality: ImageQuality = {}
        self._details: dict[str, Any] = {}

    def process(self, inputs: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]]) -> None:
        """Count the pixels of a batch by true and predicted class.

        Args:
            inputs: dicts with "image_id".
            outputs: dicts with "sem_seg": (num_classes, H, W) scores, or (H, W) labels.

        Raises:
            ValueError: a prediction of another size than the truth, or a label outside of the classes.
        """
        for item, output in zip(inputs, outputs, strict=True):
            found = output["sem_seg"]
            labels = (found.argmax(dim=0) if found.dim() == 3 else found).to("cpu", torch.int64).numpy()
            truth = read_sem_seg(self._records[item["image_id"]])
            if truth.shape != labels.shape:
                raise ValueError(
                    f"image {item['image_id']!r}: labels of {labels.shape} pixels, expected {truth.shape}"
                )
            if self.output_dir is not None:
                self._written += self._as_coco(item, labels)
            counts = truth != self.ignore_label
            self._check_labels(truth[counts], f"the truth of image {item['image_id']!r}")
            self._check_labels(labels[counts], f"the prediction for image {item['image_id']!r}")
            pairs = truth[counts] * self.num_classes + labels[counts]
            confusion = np.bincount(pairs, minlength=self._confusion.size).reshape(self._confusion.shape)
            self._confusion += confusion
            self._quality[item["image_id"]] = _mean(_ious(confusion)[0])
            if self.boundary_iou:
                true = counts & near_contours(truth)
                near = counts & near_contours(labels)
                both = true & near & (truth == labels)
                for row, values in enumerate((truth[true], labels[near], truth[both])):
                    self._boundary[row] += np.bincount(values, minlength=self.num_classes)

    def _as_coco(self, item: Mapping[str, Any], labels: np.ndarray) -> list[dict[str, Any]]:
        """Return a dict for each label of a prediction (H, W), as in a COCO results file."""
        to_contiguous = getattr(self.dataset.metadata, "stuff_dataset_id_to_contiguous_id", None) or {}
        ids = {contiguous: original for original, contiguous in to_contiguous.items()}
        return [
            {
                "image_id": item["image_id"],
                "file_name": item.get("file_name"),
                "category_id": ids.get(label, label),
                "segmentation": encode_mask(labels == label),
            }
            for label in np.unique(labels).tolist()
        ]

    def evaluate(self) -> Results | None:
        """Return the results of all images."""
        confusion, boundary, written = self._confusion, self._boundary, self._written
        if self.distributed:
            parts = gather((confusion, boundary, written, self._quality))
            if not is_main_process():
                return None
            confusion = np.sum([part[0] for part in parts], axis=0)
            boundary = np.sum([part[1] for part in parts], axis=0)
            written = [entry for part in parts for entry in part[2]]
            self._quality = {image: value for part in parts for image, value in part[3].items()}
        if (path := self.file("sem_seg_predictions.json")) is not None:
            with atomic_write(path) as partial:
                partial.write_text(to_json(written))
        iou, hit, true = _ious(confusion)
        total = true.sum()
        with np.errstate(divide="ignore", invalid="ignore"):
            accuracy = hit / true
            near_true, near_found, near_both = boundary.astype(np.float64)
            boundary_iou = np.where(true > 0, near_both / (near_true + near_found - near_both), np.nan)
        results = {
            "mIoU": _mean(iou),
            "fwIoU": float(np.nansum(iou * true) / total) if total else math.nan,
            "mACC": _mean(accuracy),
            "pACC": float(hit.sum() / total) if total else math.nan,
        }
        summary = {name: 100 * value for name, value in results.items()}
        logger.info("Evaluation results for sem_seg:\n%s", metrics_table(summary))
        columns = {"IoU": iou, "ACC": accuracy}
        if self.boundary_iou:
            columns |= {"BoundaryIoU": boundary_iou, "min(IoU, B-Iou)": np.minimum(iou, boundary_iou)}
        per_class = {
            f"{column}-{name}": 100 * float(value)
            for column, values in columns.items()
            for name, value in zip(self.class_names, values, strict=True)
        }
        share = 100 * true / total if total else true
        self._details = {
            "per_class": [
                {"class": name, "pixels %": s, **{column: 100 * float(v[i]) for column, v in columns.items()}}
                for i, (name, s) in enumerate(zip(self.class_names, share.tolist(), strict=True))
            ],
            "confusion": confusion_details(confusion, self.class_names, unit="pixels"),
        }
        return {"sem_seg": {**summary, **per_class}}

    def details(self) -> tuple[Results, ImageQuality]:
        """Return numbers by class, which classes are taken for each other, and the mIoU of each image."""
        quality = {image: value for image, value in self._quality.items() if not math.isnan(value)}
        return ({"sem_seg": self._details} if self._details else {}), quality

    def _check_labels(self, labels: np.ndarray, where: str) -> None:
        low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
        if low < 0 or high >= self.num_classes:
            raise ValueError(
                f"{where} has label {low if low < 0 else high}; expected 0 to {self.num_classes - 1}, or "
                f"{self.ignore_label} for pixels that do not count"
            )


def _ious(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (K,) intersections over unions, intersections and true pixels of a (K, K) confusion.

    Without an example a class says nothing, NaN; what is wrongly taken for it lowers the other classes.
    """
    hit = np.diag(confusion).astype(np.float64)
    true, found = confusion.sum(axis=1).astype(np.float64), confusion.sum(axis=0).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(true > 0, hit / (true + found - hit), np.nan), hit, true


def near_contours(labels: np.ndarray, ratio: float = 0.02) -> np.ndarray:
    """Return which pixels lie near the contour of the region that they belong to.

    The border of the image is a contour, too.

    Args:
        labels: (H, W).
        ratio: the distance, as a share of the image's diagonal; at least one pixel, counted along rows,
            columns and diagonals alike.

    Returns:
        (H, W) bool.
    """
    height, width = labels.shape
    distance = max(1, round(ratio * math.hypot(height, width)))
    # A square around a pixel is of one label unless two neighbours in it differ.
    size = 2 * distance + 1
    near = np.ones((height, width), dtype=bool)
    if height < size or width < size:
        return near
    across = _window_sums(labels[:, 1:] != labels[:, :-1], size, size - 1)
    down = _window_sums(labels[1:] != labels[:-1], size - 1, size)
    near[distance : height - distance, distance : width - distance] = (across + down) > 0
    return near


def _window_sums(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return the sums of all windows of a size that lie in (H, W) values."""
    sums = np.zeros((values.shape[0] + 1, values.shape[1] + 1), dtype=np.int64)
    np.cumsum(np.cumsum(values, axis=0, dtype=np.int64), axis=1, out=sums[1:, 1:])
    return sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]


def _mean(values: np.ndarray) -> float:
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else math.nan
