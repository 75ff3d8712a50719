"""Cityscapes' metrics of semantic segmentation."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from lazycfg.evaluation.cityscapes_files import ground_truth_folder, label_ids, read_ground_truth
from lazycfg.evaluation.details import confusion_details
from lazycfg.evaluation.evaluator import ImageQuality, Results, WritingEvaluator
from lazycfg.evaluation.tables import metrics_table, per_class_table
from lazycfg.utils import atomic_write, gather, is_main_process
from lazycfg.utils.cityscapes import INSTANCE_LABELS, LABELS, TRAIN_LABELS

__all__ = ["CityscapesSemSegEvaluator"]

logger = logging.getLogger(__name__)

# Pixels of an instance in the mean over Cityscapes' training data
AVERAGE_SIZE = {
    "bicycle": 4672.3249222261,
    "bus": 35732.1511111111,
    "car": 12794.0202738185,
    "motorcycle": 6298.7200839748,
    "person": 3462.4756337644,
    "rider": 3930.4788056518,
    "train": 67583.7075812274,
    "truck": 27855.1264367816,
}

_COUNT = len(LABELS)
_IGNORED = np.array([label.ignored for label in LABELS])
_CATEGORIES = [name for name in dict.fromkeys(label.category for label in LABELS) if name != "void"]
_IN_CATEGORY = np.array([[label.category == name for label in LABELS] for name in _CATEGORIES])
_CATEGORY_OF = np.array(
    [_CATEGORIES.index(label.category) if label.category in _CATEGORIES else -1 for label in LABELS]
)
# Categories all of whose labels are told apart by instance
_WITH_INSTANCES = [
    i for i, row in enumerate(_IN_CATEGORY) if all(LABELS[k].has_instances for k in np.flatnonzero(row))
]


class CityscapesSemSegEvaluator(WritingEvaluator):
    """Measure intersection over union as Cityscapes does, in percent.

    Results under "sem_seg": IoU, the mean over the 19 classes; iIoU, in which each instance counts as much as
    one of average size, over the 8 classes with instances; IoU_sup and iIoU_sup, the same of the 7 categories
    and of the 2 with instances.

    The truth is read from the ``labelIds`` and ``instanceIds`` files, found by the "file_name" of an input.

    Args:
        dataset: has ``metadata.stuff_classes`` with Cityscapes' names and ``metadata.extra["gt_dir"]``.
        output_dir: if given, ``<image>_pred.png`` of label ids are written there, as Cityscapes' server takes
            them. Several processes must share it.
        distributed: add up the counts of all processes.

    Raises:
        ValueError: the dataset lacks one of these.
    """

    def __init__(
        self, *, dataset: Any, output_dir: str | os.PathLike[str] | None = None, distributed: bool = True
    ) -> None:
        super().__init__(output_dir)
        name = type(self).__name__
        self.gt_dir = ground_truth_folder(dataset, name)
        self.label_ids = label_ids(dataset.metadata.stuff_classes, name)
        self.distributed = distributed
        self.reset()

    def reset(self) -> None:
        """Forget all counts."""
        # Rows: truth, columns: prediction
        self._confusion = np.zeros((_COUNT, _COUNT), dtype=np.int64)
        self._quality: ImageQuality = {}
        self._details: dict[str, Any] = {}
        # Weighted pixels of instances, by the label of the instance: right, and right but for the category
        self._weights = np.zeros((3, _COUNT))

    def process(self, inputs: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]]) -> None:
        """Take in one batch.

        Args:
            inputs: dicts with "file_name" and perhaps "image_id".
            outputs: dicts with "sem_seg": (K, H, W) scores or (H, W) classes.

        Raises:
            FileNotFoundError: the truth of an image is missing.
            ValueError: it has another size than the prediction.
        """
        for item, output in zip(inputs, outputs, strict=True):
            sem_seg = output["sem_seg"]
            classes = sem_seg.argmax(dim=0) if sem_seg.dim() == 3 else sem_seg
            found = self.label_ids[classes.to("cpu", torch.int64).numpy()]
            if (path := self.file(f"{Path(item['file_name']).stem}_pred.png")) is not None:
                with atomic_write(path) as partial:
                    Image.fromarray(found.astype(np.uint8)).save(partial, format="PNG")
            true = read_ground_truth(self.gt_dir, item, "labelIds", found.shape)
            instances = read_ground_truth(self.gt_dir, item, "instanceIds", found.shape)
            pairs = np.bincount((true * _COUNT + found).ravel(), minlength=_COUNT**2)
            confusion = pairs.reshape(_COUNT, _COUNT)
            self._confusion += confusion
            present = [label for label in TRAIN_LABELS if confusion[label.id].any()]
            if present:
                iou = _label_ious(confusion)
                image_id = item.get("image_id", item["file_name"])
                self._quality[image_id] = _mean(iou[label.name] for label in present) / 100
            self._add_instances(instances, found)

    def _add_instances(self, instances: np.ndarray, found: np.ndarray) -> None:
        ids, which = np.unique(instances, return_inverse=True)
        labels = np.where(ids > 1000, ids // 1000, 0)
        counted = (ids > 1000) & ~_IGNORED[labels]
        of_pixel = labels[which.reshape(found.shape)]
        which, size = which.ravel(), np.bincount(which.ravel())
        right = np.bincount(which[(found == of_pixel).ravel()], minlength=len(ids))
        near = np.bincount(which[(_CATEGORY_OF[found] == _CATEGORY_OF[of_pixel]).ravel()], minlength=len(ids))
        for label, pixels, *hits in zip(*(x[counted] for x in (labels, size, right, near)), strict=True):
            weight = AVERAGE_SIZE[LABELS[label].name] / pixels
            self._weights[:, label] += weight * np.array([pixels, *hits])

    def evaluate(self) -> Results | None:
        """Return the results of all images."""
        confusion, weights = self._confusion, self._weights
        if self.distributed:
            parts = gather((confusion, weights, self._quality))
            if not is_main_process():
                return None
            confusion = np.sum([part[0] for part in parts], axis=0)
            weights = np.sum([part[1] for part in parts], axis=0)
            self._quality = {image: value for part in parts for image, value in part[2].items()}
        iou, instance_iou = _label_ious(confusion), _instance_ious(confusion, weights)
        category_iou, instance_category_iou = _of_categories(confusion, weights)
        results = {
            "IoU": _mean(iou.values()),
            "iIoU": _mean(instance_iou.values()),
            "IoU_sup": _mean(category_iou.values()),
            "iIoU_sup": _mean(instance_category_iou.values()),
        }
        rows = [
            {"class": name, "kind": kind, "IoU": value, "iIoU": own.get(name, math.nan)}
            for kind, of, own in (
                ("class", iou, instance_iou),
                ("category", category_iou, instance_category_iou),
            )
            for name, value in of.items()
        ]
        logger.info("Evaluation results for sem_seg:\n%s", metrics_table(results))
        logger.info("Per class and category, sem_seg:\n%s", per_class_table(rows))
        self._details = {"per_class": rows, "confusion": _confusion_of_classes(confusion)}
        return {"sem_seg": results}

    def details(self) -> tuple[Results, ImageQuality]:
        """Return numbers by class and category, which classes are taken for each other, and of each image the
        mean IoU of the classes in it.
        """
        return ({"sem_seg": self._details} if self._details else {}), self._quality


def _confusion_of_classes(confusion: np.ndarray) -> dict[str, Any]:
    """Return the confusion of the labels that are evaluated, and of others that were predicted there."""
    counted = confusion * ~_IGNORED[:, None]
    shown = np.flatnonzero(~_IGNORED | counted.any(axis=0)).tolist()
    names = [LABELS[index].name for index in shown]
    return confusion_details(counted[np.ix_(shown, shown)], names, unit="pixels")


def _label_ious(confusion: np.ndarray) -> dict[str, float]:
    result = {}
    for label in TRAIN_LABELS:
        hits = confusion[label.id, label.id]
        wrong = confusion[~_IGNORED, label.id].sum() - hits
        result[label.name] = _ratio(hits, confusion[label.id].sum() + wrong)
    return result


def _instance_ious(confusion: np.ndarray, weights: np.ndarray) -> dict[str, float]:
    result = {}
    for label in INSTANCE_LABELS:
        wrong = confusion[~_IGNORED, label.id].sum() - confusion[label.id, label.id]
        whole, right, _ = weights[:, label.id]
        result[label.name] = _ratio(right, whole + wrong)
    return result


def _of_categories(confusion: np.ndarray, weights: np.ndarray) -> tuple[dict[str, float], dict[str, float]]:
    iou, instance_iou = {}, {}
    for i, name in enumerate(_CATEGORIES):
        own = _IN_CATEGORY[i] & ~_IGNORED
        hits = confusion[np.ix_(own, own)].sum()
        wrong = confusion[np.ix_(~_IN_CATEGORY[i] & ~_IGNORED, own)].sum()
        iou[name] = _ratio(hits, confusion[own].sum() + wrong)
        if i in _WITH_INSTANCES:
            whole, _, near = weights[:, _IN_CATEGORY[i]].sum(axis=1)
            # Here a prediction of any label of the category is wrong elsewhere, too.
            wrong = confusion[np.ix_(~_IN_CATEGORY[i] & ~_IGNORED, _IN_CATEGORY[i])].sum()
            instance_iou[name] = _ratio(near, whole + wrong)
    return iou, instance_iou


def _ratio(part: float, whole: float) -> float:
    return 100 * float(part / whole) if whole > 0 else math.nan


def _mean(values: Any) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
