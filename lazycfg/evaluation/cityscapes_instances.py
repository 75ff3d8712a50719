"""Cityscapes' metric of instance segmentation."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lazycfg.evaluation.cityscapes_files import ground_truth_folder, label_ids, read_ground_truth
from lazycfg.evaluation.evaluator import Results, WritingEvaluator
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


@dataclass
class _Matches:
    """What one image says of one class.

    Attributes:
        scores: (P,) of the predictions.
        sizes, void: (P,) pixels of each, and those of them without truth.
        true_sizes: (G,) pixels of the true regions.
        groups: (G,) bool, regions of several objects.
        overlaps: (P, G) pixels.
    """

    scores: np.ndarray
    sizes: np.ndarray
    void: np.ndarray
    true_sizes: np.ndarray
    groups: np.ndarray
    overlaps: np.ndarray


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
        self._matches: dict[int, list[_Matches]] = {label.id: [] for label in INSTANCE_LABELS}

    def process(self, inputs: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]]) -> None:
        """Take in one batch.

        Args:
            inputs: dicts with "file_name"; "height" and "width" where an output may have no instances.
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
            for label, matches in _match(ids, labels, scores, masks):
                self._matches[label].append(matches)

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
        matches = self._matches
        if self.distributed:
            parts = gather(matches)
            if not is_main_process():
                return None
            matches = {label: [x for part in parts for x in part[label]] for label in matches}
        precision = {
            label.name: [average_precision(matches[label.id], threshold) for threshold in THRESHOLDS]
            for label in INSTANCE_LABELS
        }
        values = 100 * np.array(list(precision.values()))
        results = {"AP": _mean(values.ravel()), "AP50": _mean(values[:, 0])}
        rows = [
            {"class": name, "AP": 100 * _mean(values), "AP50": 100 * values[0]}
            for name, values in precision.items()
        ]
        logger.info("Evaluation results for segm:\n%s", metrics_table(results))
        logger.info("Per class, segm:\n%s", per_class_table(rows))
        return {"segm": results}


def _match(
    ids: np.ndarray, labels: np.ndarray, scores: np.ndarray, masks: Sequence[Mapping[str, Any]]
) -> Iterable[tuple[int, _Matches]]:
    """Count the pixels that predictions share with true regions, for each class that there is.

    Args:
        ids: (H, W), of instances.
        labels, scores: (P,) of the predictions; masks: as run lengths.
    """
    true_ids, which = np.unique(ids, return_inverse=True)
    which = which.ravel()
    sizes = np.bincount(which)
    true_labels = np.where(true_ids < 1000, true_ids, true_ids // 1000)
    table = np.zeros((len(masks), len(true_ids)), dtype=np.int64)
    for row, mask in zip(table, masks, strict=True):
        row += np.bincount(which[decode_rle(mask).ravel().astype(bool)], minlength=len(true_ids))
    area = table.sum(axis=1)
    void = table[:, np.isin(true_ids, _IGNORED)].sum(axis=1)
    for label in (each.id for each in INSTANCE_LABELS):
        own, true = (labels == label) & (area > 0), true_labels == label
        if own.any() or true.any():
            yield (
                label,
                _Matches(
                    scores[own],
                    area[own],
                    void[own],
                    sizes[true],
                    true_ids[true] < 1000,
                    table[own][:, true],
                ),
            )


def average_precision(images: Sequence[_Matches], threshold: float) -> float:
    """Return the area under the curve of precision over recall of one class; NaN without true instances."""
    hits: list[np.ndarray] = []
    wrong: list[np.ndarray] = []
    missed, any_true, any_found = 0, False, False
    for x in images:
        overlap = x.overlaps / (x.sizes[:, None] + x.true_sizes - x.overlaps)
        matched = overlap > threshold
        counted = ~x.groups & (x.true_sizes >= SMALLEST)
        any_true |= bool(counted.any())
        any_found |= len(x.scores) > 0
        for column in matched[:, counted].T:
            found = np.sort(x.scores[column])
            missed += not len(found)
            hits.append(found[-1:])
            wrong.append(found[:-1])
        # A small group excuses twice, as in Cityscapes' own script.
        excused = (
            x.void + x.overlaps[:, x.groups].sum(axis=1) + x.overlaps[:, x.true_sizes < SMALLEST].sum(axis=1)
        )
        wrong.append(x.scores[~matched.any(axis=1) & (excused / x.sizes <= threshold)])
    if not any_true:
        return math.nan
    if not any_found:
        return 0.0
    return _area_under_curve(np.concatenate(hits), np.concatenate(wrong), missed)


def _area_under_curve(hits: np.ndarray, wrong: np.ndarray, missed: int) -> float:
    """Return the area under precision over recall.

    Args:
        hits, wrong: the scores of right and of wrong predictions.
        missed: true instances that nothing was found of.
    """
    thresholds = np.unique(np.concatenate([hits, wrong]))
    if not len(thresholds):
        return 0.0
    right = len(hits) - np.searchsorted(np.sort(hits), thresholds)
    false = len(wrong) - np.searchsorted(np.sort(wrong), thresholds)
    precision = np.append(right / (right + false), 1.0)
    recall = np.append(right / (len(hits) + missed), 0.0)
    around = np.concatenate([recall[:1], recall, [0.0]])
    return float(precision @ (0.5 * (around[:-2] - around[2:])))


def _mean(values: Any) -> float:
    known = [float(value) for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
