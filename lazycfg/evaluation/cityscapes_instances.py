"""Cityscapes' metric of instance segmentation."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lazycfg.evaluation.cityscapes_files import ground_truth_folder, label_ids, read_ground_truth
from lazycfg.evaluation.details import Compared, nearest_details
from lazycfg.evaluation.evaluator import ImageQuality, Results, WritingEvaluator
from lazycfg.evaluation.nearest import ImageOverlaps, NearestObjects
from lazycfg.evaluation.predictions import encode_masks
from lazycfg.evaluation.tables import metrics_table, per_class_table
from lazycfg.structures.rle import decode_rle
from lazycfg.utils import atomic_write, gather, is_main_process
from lazycfg.utils.cityscapes import INSTANCE_LABELS, LABELS

__all__ = ["CityscapesInstanceEvaluator"]

logger = logging.getLogger(__name__)

THRESHOLDS = np.arange(50, 100, 5) / 100
SMALLEST = 100  # pixels of an instance that must be found
_IGNORED = [label.id for label in LABELS if label.ignored]
_NAMES = [label.name for label in INSTANCE_LABELS]
_CLASSES = np.full(len(LABELS), -1)
_CLASSES[[label.id for label in INSTANCE_LABELS]] = np.arange(len(INSTANCE_LABELS))


class CityscapesInstanceEvaluator(WritingEvaluator):
    """Measure average precision of masks as Cityscapes does, in percent.

    Results under "segm": AP, the mean over 8 classes and overlaps above 0.50, 0.55, ... 0.95, and AP50.

    The truth is read from the ``instanceIds`` files, found by the "file_name" of an input. True instances of
    fewer than 100 pixels, groups and pixels without truth are not held against the predictions on them.

    Args:
        dataset: has ``metadata.thing_classes`` with Cityscapes' names and ``metadata.extra["gt_dir"]``.
        output_dir: if given, a file ``<image>_pred.txt`` for each image, and the PNG files of masks (0 and
            255) that its lines name, are written there, as Cityscapes' server takes them. Several processes
            must share it.
        distributed: join what all processes have.

    Raises:
        ValueError: the dataset lacks one of these.
    """

    def __init__(
        self, *, dataset: Any, output_dir: str | os.PathLike[str] | None = None, distributed: bool = True
    ) -> None:
        super().__init__(output_dir)
        name = type(self).__name__
        self.gt_dir = ground_truth_folder(dataset, name)
        self.label_ids = label_ids(dataset.metadata.thing_classes, name)
        self.distributed = distributed
        self.reset()

    def reset(self) -> None:
        """Forget all predictions."""
        self._images: dict[Any, ImageOverlaps] = {}
        self._compared: Compared | None = None

    def process(self, inputs: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]]) -> None:
        """Take in one batch.

        Args:
            inputs: dicts with "file_name" and perhaps "image_id"; "height" and "width" where an output may
                have no instances.
            outputs: dicts with "instances": `Instances` with ``pred_classes``, ``scores``, ``pred_masks``; or
                without, where nothing was found.

        Raises:
            FileNotFoundError: the truth of an image is missing.
            ValueError: it has another size than the prediction.
        """
        for item, output in zip(inputs, outputs, strict=True):
            instances = output.get("instances")
            size = (item["height"], item["width"]) if instances is None else instances.image_size
            ids = read_ground_truth(self.gt_dir, item, "instanceIds", size)
            labels, scores, masks = np.zeros(0, dtype=np.int64), np.zeros(0), []
            if instances is not None and len(instances):
                on_host = instances.to("cpu")
                labels = self.label_ids[on_host.pred_classes.numpy()]
                scores = on_host.scores.double().numpy()
                masks = encode_masks(on_host.pred_masks, on_host.pred_boxes.tensor, on_host.image_size)
            self._write(Path(item["file_name"]).stem, labels, scores, masks)
            image_id = item.get("image_id", item["file_name"])
            self._images[image_id] = _overlaps(ids, _CLASSES[labels], scores, masks)

    def _write(
        self, image: str, labels: np.ndarray, scores: np.ndarray, masks: Sequence[Mapping[str, Any]]
    ) -> None:
        path = self.file(f"{image}_pred.txt")
        if path is None:
            return
        lines = []
        for number, (label, score, mask) in enumerate(
            zip(labels.tolist(), scores.tolist(), masks, strict=True)
        ):
            name = f"{image}_{number}_{LABELS[label].name.replace(' ', '_')}.png"
            with atomic_write(path.with_name(name)) as partial:
                Image.fromarray(decode_rle(mask).astype(np.uint8) * 255).save(partial, format="PNG")
            lines.append(f"{name} {label} {score}\n")
        with atomic_write(path) as partial:
            partial.write_text("".join(lines), encoding="utf-8")

    def evaluate(self) -> Results | None:
        """Return the results of all images."""
        images = self._images
        if self.distributed:
            parts = gather(images)
            if not is_main_process():
                return None
            images = {image_id: each for part in parts for image_id, each in part.items()}
        judged = NearestObjects.join(images)
        counts = judged.num_objects(len(_NAMES)).tolist()
        own = [judged.label == index for index in range(len(_NAMES))]
        values = np.zeros((len(_NAMES), len(THRESHOLDS)))
        for column, threshold in enumerate(THRESHOLDS):
            right, wrong = judged.judge(threshold)
            for index, kept in enumerate(own):
                hits, misses = judged.score[kept & right], judged.score[kept & wrong]
                values[index, column] = 100 * average_precision(hits, misses, counts[index])
        results = {"AP": _mean(values.ravel()), "AP50": _mean(values[:, 0])}
        rows = [
            {"class": name, "objects": count, "AP": _mean(of_class), "AP50": float(of_class[0])}
            for name, count, of_class in zip(_NAMES, counts, values, strict=True)
        ]
        self._compared = judged, rows
        logger.info("Evaluation results for segm:\n%s", metrics_table(results))
        logger.info("Per class, segm:\n%s", per_class_table(rows))
        return {"segm": results}

    def details(self) -> tuple[Results, ImageQuality]:
        """Return classes, curves, confusion and kinds of mistakes at an overlap of 0.5, and the F1 of each
        image.
        """
        compared, self._compared = self._compared, None
        return nearest_details("segm", compared, _NAMES)


def _overlaps(
    ids: np.ndarray, classes: np.ndarray, scores: np.ndarray, masks: Sequence[Mapping[str, Any]]
) -> ImageOverlaps:
    """Compare the predictions of an image with its regions.

    Args:
        ids: (H, W), of instances.
        classes, scores: (P,) of the predictions, -1 for a class that is not evaluated.
        masks: of the predictions, as run lengths.
    """
    true_ids, which = np.unique(ids, return_inverse=True)
    which = which.ravel()
    sizes = np.bincount(which)
    true_classes = _class_of(true_ids)
    table = np.zeros((len(masks), len(true_ids)), dtype=np.int64)
    for row, mask in zip(table, masks, strict=True):
        row += np.bincount(which[decode_rle(mask).ravel().astype(bool)], minlength=len(true_ids))
    kept = (table.sum(axis=1) > 0) & (classes >= 0)
    table, classes, scores = table[kept], classes[kept], scores[kept]
    area = table.sum(axis=1)
    void = table[:, np.isin(true_ids, _IGNORED)].sum(axis=1)

    is_object = true_classes >= 0
    true_ids, true_classes, sizes = true_ids[is_object], true_classes[is_object], sizes[is_object]
    table = table[:, is_object]
    groups, small = true_ids < 1000, sizes < SMALLEST
    # A small group excuses twice, as in Cityscapes' own script.
    same = classes[:, None] == true_classes
    excused = void + (table * same * (groups.astype(np.int64) + small)).sum(axis=1)
    return ImageOverlaps(
        label=classes,
        score=scores,
        excused=excused / area,
        true_label=true_classes,
        area=sizes,
        counts=~groups & ~small,
        overlaps=table / (area[:, None] + sizes - table),
    )


def _class_of(ids: np.ndarray) -> np.ndarray:
    """Return the classes of regions, -1 for what is none of them."""
    labels = np.where(ids < 1000, ids, ids // 1000)
    return np.where(labels < len(_CLASSES), _CLASSES[labels.clip(0, len(_CLASSES) - 1)], -1)


def average_precision(hits: np.ndarray, wrong: np.ndarray, num_objects: int) -> float:
    """Return the area under the curve of precision over recall of one class; NaN without objects.

    Args:
        hits, wrong: the scores of right and of wrong predictions.
        num_objects: how many there are to be found.
    """
    if num_objects == 0:
        return math.nan
    thresholds = np.unique(np.concatenate([hits, wrong]))
    if not len(thresholds):
        return 0.0
    right = len(hits) - np.searchsorted(np.sort(hits), thresholds)
    false = len(wrong) - np.searchsorted(np.sort(wrong), thresholds)
    precision = np.append(right / (right + false), 1.0)
    recall = np.append(right / num_objects, 0.0)
    around = np.concatenate([recall[:1], recall, [0.0]])
    return float(precision @ (0.5 * (around[:-2] - around[2:])))


def _mean(values: Any) -> float:
    known = [float(value) for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
