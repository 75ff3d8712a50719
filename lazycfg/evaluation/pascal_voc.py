"""PASCAL VOC's metrics for boxes."""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from lazycfg.evaluation.details import Compared, nearest_details
from lazycfg.evaluation.evaluator import DatasetEvaluator, ImageQuality, Results
from lazycfg.evaluation.label_maps import get_record
from lazycfg.evaluation.nearest import ImageOverlaps, NearestObjects
from lazycfg.evaluation.pascal_voc_scores import VocMetric, average_precision, voc_overlaps
from lazycfg.evaluation.tables import distinct_names, metrics_table, per_class_table
from lazycfg.structures import BoxMode
from lazycfg.utils import atomic_write, closest, gather, is_main_process

__all__ = ["PascalVOCDetectionEvaluator"]

logger = logging.getLogger(__name__)

_THRESHOLDS = np.arange(50, 100, 5) / 100


@dataclass(frozen=True)
class _Detections:
    """What was found in one image, as it is written: coordinates from 1, rounded.

    Attributes:
        image_id: of the record.
        lines: of each detection "score x0 y0 x1 y1".
        classes: (N,).
    """

    image_id: Any
    lines: list[str]
    classes: np.ndarray


@dataclass(frozen=True)
class _Truth:
    """The objects of one image: (G, 4) XYXY counted from 1, (G,) classes and whether they do not count."""

    boxes: np.ndarray
    classes: np.ndarray
    difficult: np.ndarray


class PascalVOCDetectionEvaluator(DatasetEvaluator):
    """Measure average precision of boxes as PASCAL VOC does, in percent.

    Results under "bbox": AP (the mean over overlaps above 0.50, 0.55, ..., 0.95), AP50 and AP75, means over
    the classes that have objects.

    Detections are compared as they are written: the score with three decimals, coordinates, counted from 1,
    with one. Objects whose annotation says ``difficult: 1`` (and crowds, which VOC does not have) need not be
    found, and what is found of them is not held against the detections.

    Args:
        dataset: has ``metadata.thing_classes``, and records with "image_id" and "annotations" whose boxes
            count from 0: those of VOC's files with 1 taken off xmin and ymin.
        metric: "11-point" (VOC 2007) or "area" (from VOC 2010 on); None goes by ``metadata.extra["year"]``.
        output_dir: if given, ``comp4_det_test_<class>.txt`` are written there, which VOC's server takes.
        distributed: gather the detections of all processes. False: each process evaluates what it saw.

    Raises:
        ValueError: the metric is not known, or the dataset does not tell its year or classes.
    """

    def __init__(
        self,
        *,
        dataset: Any,
        metric: VocMetric | None = None,
        output_dir: str | os.PathLike[str] | None = None,
        distributed: bool = True,
    ) -> None:
        known = get_args(VocMetric)
        year = getattr(dataset.metadata, "extra", {}).get("year")
        if metric is None and year is not None:
            metric = "11-point" if int(year) < 2010 else "area"
        if metric is None:
            raise ValueError(
                "PascalVOCDetectionEvaluator: metadata.extra has no 'year', which tells the metric: give "
                "metric='11-point' (VOC 2007) or metric='area' (from VOC 2010 on)"
            )
        if metric not in known:
            raise ValueError(f"metric={metric!r}: expected one of {list(known)}{closest(metric, known)}")
        names = list(getattr(dataset.metadata, "thing_classes", None) or ())
        if not names:
            raise ValueError("PascalVOCDetectionEvaluator: the dataset has no thing_classes")
        self.dataset = dataset
        self.metric: VocMetric = metric
        self.class_names = distinct_names(names)
        self.output_dir = None if output_dir is None else Path(output_dir)
        self.distributed = distributed
        self._truth: dict[Any, _Truth] | None = None
        self.reset()

    def reset(self) -> None:
        """Forget all detections; the ground truth is kept."""
        self._found: list[_Detections] = []
        self._compared: Compared | None = None

    def process(self, inputs: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]]) -> None:
        """Take in the detections of a batch.

        Args:
            inputs: dicts with "image_id".
            outputs: dicts with "instances": ``pred_boxes``, ``scores`` and ``pred_classes``, in pixels of the
                original image.

        Raises:
            ValueError: a class that the data set does not have, or rotated boxes.
        """
        for item, output in zip(inputs, outputs, strict=True):
            instances = output["instances"].to("cpu")
            boxes, classes = instances.pred_boxes.tensor.float(), instances.pred_classes.numpy()
            if boxes.shape[1] != 4:
                raise ValueError(
                    "the boxes predicted are rotated, and VOC's are not: RotatedCOCOEvaluator evaluates them"
                )
            foreign = classes[(classes < 0) | (classes >= len(self.class_names))]
            if len(foreign):
                raise ValueError(
                    f"the model predicts class {foreign[0]} in image {item['image_id']!r}, and the data set "
                    f"has {len(self.class_names)} classes, from 0: is its num_classes that of the data set?"
                )
            rows = zip(
                instances.scores.tolist(), (boxes + boxes.new_tensor([1, 1, 0, 0])).tolist(), strict=True
            )
            lines = [f"{score:.3f} " + " ".join(f"{value:.1f}" for value in box) for score, box in rows]
            self._found.append(_Detections(item["image_id"], lines, classes))

    def evaluate(self) -> Results | None:
        """Return the results of all images; what was not predicted counts as without detections.

        Raises:
            ValueError: the dataset lacks what VOC's metric needs, or has no such image.
        """
        found = self._found
        if self.distributed:
            parts = gather(found)
            if not is_main_process():
                return None
            found = [each for part in parts for each in part]
        if self._truth is None:
            self._truth = _read_truth(self.dataset, len(self.class_names))
        by_image = {each.image_id: each for each in found}  # a padded round may give an image twice
        strange = next((image_id for image_id in by_image if image_id not in self._truth), None)
        if strange is not None:
            raise ValueError(f"image_id {strange!r} is not one of the dataset's {len(self._truth)}")
        if len(by_image) < len(self._truth):
            logger.warning(
                "only %d of %d images were predicted; the others count as empty",
                len(by_image),
                len(self._truth),
            )
        self._write(by_image)
        judged = NearestObjects.join(
            {image_id: _overlaps(by_image.get(image_id), truth) for image_id, truth in self._truth.items()}
        )
        table, counts = self._average_precision(judged)
        rows = [
            {
                "class": name,
                "objects": count,
                "AP": _mean(values),
                "AP50": float(values[0]),
                "AP75": float(values[5]),
            }
            for name, count, values in zip(self.class_names, counts, table, strict=True)
        ]
        self._compared = judged, rows
        results = {name: _mean(np.array([row[name] for row in rows])) for name in ("AP", "AP50", "AP75")}
        logger.info("Evaluation results for bbox (VOC, %s):\n%s", self.metric, metrics_table(results))
        logger.info("Per class, bbox:\n%s", per_class_table(rows))
        absent = [name for name, values in zip(self.class_names, table, strict=True) if np.isnan(values[0])]
        if absent:
            logger.info("no object that counts, so left out of the means: %s", ", ".join(absent))
        return {"bbox": results}

    def details(self) -> tuple[Results, ImageQuality]:
        """Return classes, curves, confusion and kinds of mistakes at an overlap of 0.5, and the F1 of each
        image.
        """
        compared, self._compared = self._compared, None
        return nearest_details("bbox", compared, self.class_names)

    def try_out(
        self, inputs: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]]
    ) -> Results | None:
        """Evaluate a batch and forget it again, see `DatasetEvaluator.try_out`; the ground truth is kept."""
        trial = copy.copy(self)
        trial.output_dir, trial.distributed = None, False
        trial.reset()
        trial.process(inputs, outputs)
        results = trial.evaluate()
        self._truth = trial._truth
        return results

    def _average_precision(self, judged: NearestObjects) -> tuple[np.ndarray, list[int]]:
        """Return (K, T) in percent, of each class at each threshold, and the numbers of objects."""
        counts = judged.num_objects(len(self.class_names)).tolist()
        own = [judged.label == index for index in range(len(counts))]
        table = np.zeros((len(counts), len(_THRESHOLDS)))
        for column, threshold in enumerate(_THRESHOLDS):
            right, wrong = judged.judge(threshold)
            for index, kept in enumerate(own):
                table[index, column] = average_precision(right[kept], wrong[kept], counts[index], self.metric)
        return 100 * table, counts

    def _write(self, by_image: Mapping[Any, _Detections]) -> None:
        if self.output_dir is None:
            return
        self.output_dir.mkdir(parents=True, exist_ok=True)
        for index, name in enumerate(self.class_names):
            lines = [
                f"{image_id} {line}\n"
                for image_id, each in by_image.items()
                for line, label in zip(each.lines, each.classes.tolist(), strict=True)
                if label == index
            ]
            with atomic_write(self.output_dir / f"comp4_det_test_{name}.txt") as partial:
                partial.write_text("".join(lines), encoding="utf-8")


def _overlaps(detections: _Detections | None, truth: _Truth) -> ImageOverlaps:
    lines = [] if detections is None else [line.split() for line in detections.lines]
    numbers = np.array(lines, dtype=np.float64).reshape(-1, 5)
    return ImageOverlaps(
        label=np.zeros(0) if detections is None else detections.classes,
        score=numbers[:, 0],
        excused=np.zeros(len(numbers)),
        true_label=truth.classes,
        area=(truth.boxes[:, 2:] - truth.boxes[:, :2] + 1).prod(axis=1),
        counts=~truth.difficult,
        overlaps=voc_overlaps(numbers[:, 1:], truth.boxes),
    )


def _read_truth(dataset: Any, num_classes: int) -> dict[Any, _Truth]:
    result: dict[Any, _Truth] = {}
    for number in range(len(dataset)):
        record = get_record(dataset, number)
        image_id = record.get("image_id", number)
        if image_id in result:
            raise ValueError(f"record {number} has the image_id {image_id!r} of another")
        annotations = record.get("annotations", ())
        boxes = [BoxMode.convert(list(a["bbox"]), a["bbox_mode"], BoxMode.XYXY_ABS) for a in annotations]
        classes = np.array([a["category_id"] for a in annotations], dtype=np.int64)
        wrong = classes[(classes < 0) | (classes >= num_classes)]
        if len(wrong):
            raise ValueError(
                f"record {number} (image_id {image_id!r}) has an object of category_id {wrong[0]}; expected "
                f"0 to {num_classes - 1}"
            )
        result[image_id] = _Truth(
            np.array(boxes, dtype=np.float64).reshape(-1, 4) + np.array([1, 1, 0, 0]),
            classes,
            np.array([bool(a.get("difficult", 0) or a.get("iscrowd", 0)) for a in annotations], dtype=bool),
        )
    return result


def _mean(values: np.ndarray) -> float:
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else float("nan")
