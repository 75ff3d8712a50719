"""Accuracy of a label for every pixel."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from lazycfg.evaluation.evaluator import DatasetEvaluator, Results
from lazycfg.evaluation.label_maps import RecordIndex, read_sem_seg
from lazycfg.evaluation.tables import metrics_table
from lazycfg.utils import gather, is_main_process

__all__ = ["SemSegEvaluator"]

logger = logging.getLogger(__name__)


class SemSegEvaluator(DatasetEvaluator):
    """Mean intersection over union and pixel accuracy of semantic segmentation, in percent.

    Results under "sem_seg": mIoU, fwIoU (weighted by how frequent a class is), mACC, pACC, ``IoU-<class>``
    and ``ACC-<class>``. A class that neither occurs nor is predicted is left out of the means.

    Args:
        dataset: has ``metadata.stuff_classes`` (and ``ignore_label``), and records with "sem_seg" or
            "sem_seg_file_name".
        num_classes: how many labels the model tells apart; default: one for each of ``stuff_classes``.
        distributed: add up the counts of all processes.
    """

    def __init__(self, *, dataset: Any, num_classes: int | None = None, distributed: bool = True) -> None:
        self.dataset = dataset
        names = list(getattr(dataset.metadata, "stuff_classes", None) or ())
        self.num_classes = num_classes or len(names)
        if not self.num_classes:
            raise ValueError("SemSegEvaluator: the dataset has no stuff_classes; give num_classes")
        self.class_names = [names[i] if i < len(names) else str(i) for i in range(self.num_classes)]
        self.ignore_label = getattr(dataset.metadata, "ignore_label", 255)
        self.distributed = distributed
        self._records = RecordIndex(dataset)
        self.reset()

    def reset(self) -> None:
        self._confusion = np.zeros((self.num_classes, self.num_classes), dtype=np.int64)

    def process(self, inputs: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]]) -> None:
        """
        Args:
            inputs: dicts with "image_id".
            outputs: dicts with "sem_seg": (num_classes, H, W) scores, or (H, W) labels.
        """
        for item, output in zip(inputs, outputs, strict=True):
            found = output["sem_seg"]
            labels = (found.argmax(dim=0) if found.dim() == 3 else found).to("cpu", torch.int64).numpy()
            truth = read_sem_seg(self._records[item["image_id"]])
            if truth.shape != labels.shape:
                raise ValueError(
                    f"image {item['image_id']!r}: labels of {labels.shape} pixels, expected {truth.shape}"
                )
            counts = (truth != self.ignore_label) & (truth >= 0) & (truth < self.num_classes)
            pairs = truth[counts] * self.num_classes + np.clip(labels[counts], 0, self.num_classes - 1)
            self._confusion += np.bincount(pairs, minlength=self._confusion.size).reshape(
                self._confusion.shape
            )

    def evaluate(self) -> Results | None:
        """The results of all images."""
        confusion = self._confusion  # rows: truth, columns: prediction
        if self.distributed:
            parts = gather(confusion)
            if not is_main_process():
                return None
            confusion = sum(parts[1:], start=parts[0])
        hit = np.diag(confusion).astype(np.float64)
        true, found = confusion.sum(axis=1).astype(np.float64), confusion.sum(axis=0).astype(np.float64)
        total = true.sum()
        with np.errstate(divide="ignore", invalid="ignore"):
            iou = hit / (true + found - hit)
            accuracy = hit / true
        results = {
            "mIoU": _mean(iou),
            "fwIoU": float(np.nansum(iou * true) / total) if total else math.nan,
            "mACC": _mean(accuracy),
            "pACC": float(hit.sum() / total) if total else math.nan,
        }
        summary = {name: 100 * value for name, value in results.items()}
        logger.info("Evaluation results for sem_seg:\n%s", metrics_table(summary))
        per_class = {f"IoU-{name}": 100 * float(v) for name, v in zip(self.class_names, iou, strict=True)}
        per_class |= {
            f"ACC-{name}": 100 * float(v) for name, v in zip(self.class_names, accuracy, strict=True)
        }
        return {"sem_seg": {**summary, **per_class}}


def _mean(values: np.ndarray) -> float:
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else math.nan
