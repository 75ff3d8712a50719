"""LVIS's metrics for boxes and masks."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

from lazycfg.evaluation.coco import COCOEvaluator
from lazycfg.evaluation.coco_ground_truth import coco_ground_truth
from lazycfg.evaluation.lvis_scores import best_of_each_image, lvis_scores
from lazycfg.evaluation.tables import metrics_table
from lazycfg.utils import closest

__all__ = ["LVISEvaluator"]

logger = logging.getLogger(__name__)

_TASKS = ("bbox", "segm", "box_proposals")
_GROUPS = {"r": "rare", "c": "common", "f": "frequent"}
_LISTS = ("neg_category_ids", "not_exhaustive_category_ids")


class LVISEvaluator(COCOEvaluator):
    """Measure AP as LVIS defines it, for boxes and masks; average recall for proposals.

    The truth is taken from the records of the dataset object, whose "neg_category_ids" and
    "not_exhaustive_category_ids" tell which classes were looked for in an image (see `LVISDataset`, and
    `lvis_scores` for the rules).

    The results of a task are percentages: AP, AP50, AP75, APs, APm, APl, and APr, APc, APf over the rare,
    common and frequent classes. NaN stands for "nothing to be found". A data set without any object, of test
    images, has no results: its detections are written.

    Args:
        dataset: has ``metadata`` with the class names, ``metadata.extra["class_frequencies"]`` ("r", "c" or
            "f" for each class), and records.
        tasks: any of "bbox", "segm", "box_proposals"; None does what the predictions allow.
        output_dir: if given, ``lvis_instances_results.json`` (what LVIS's server takes: the detections that
            count) and ``lvis_per_class_<task>.json`` (AP, AP50, AP75 and AR of every class) are written
            there; and the proposals, if there are any, as ``box_proposals.pkl``.
        max_dets_per_image: how many detections of an image count over all classes, the best first; None is
            LVIS's 300.
        distributed: gather the predictions of all processes. False: each process evaluates what it saw.
    """

    explained = False
    results_file = "lvis_instances_results.json"

    def __init__(
        self,
        *,
        dataset: Any,
        tasks: Sequence[str] | None = None,
        output_dir: str | os.PathLike[str] | None = None,
        max_dets_per_image: int | None = None,
        distributed: bool = True,
    ) -> None:
        for task in tasks or ():
            if task not in _TASKS:
                raise ValueError(
                    f"LVISEvaluator: tasks: {task!r} is not one of {list(_TASKS)}{closest(task, _TASKS)}"
                )
        limit = 300 if max_dets_per_image is None else max_dets_per_image
        if limit < 1:
            raise ValueError(
                f"LVISEvaluator: max_dets_per_image must be at least 1, or None for LVIS's 300, got {limit}"
            )
        super().__init__(
            dataset=dataset,
            tasks=tasks,
            output_dir=output_dir,
            max_dets_per_image=limit,
            distributed=distributed,
        )
        self._limit: int = limit

    def ground_truth(self) -> dict[str, Any]:
        """Return the annotations in LVIS's form.

        Raises:
            ValueError: there are crowd regions, or ids that no category has.
        """
        truth = coco_ground_truth(self.dataset, image_keys=_LISTS)
        crowd = next((each for each in truth["annotations"] if each["iscrowd"]), None)
        if crowd is not None:
            raise ValueError(
                f"LVISEvaluator: image {crowd['image_id']!r} has a crowd region (iscrowd 1), and LVIS's "
                "metric has none: COCOEvaluator evaluates such data sets"
            )
        ids = {category["id"] for category in truth["categories"]}
        for image in truth["images"]:
            for key in _LISTS:
                unknown = next((number for number in image.get(key, ()) if number not in ids), None)
                if unknown is not None:
                    raise ValueError(
                        f"image {image['id']!r}: {key} has {unknown!r}, which is no id of a category of the "
                        "data set: expected ids as in metadata.thing_dataset_id_to_contiguous_id"
                    )
        return truth

    def countable(self, detections: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the detections that count: the best of each image."""
        return best_of_each_image(detections, self._limit)

    def _choose_tasks(self, predictions: Any, proposals: Any, truth: Mapping[str, Any]) -> list[str]:
        if not truth["annotations"]:
            logger.info("the data set has no objects to compare with; the detections are not evaluated")
            return []
        return [task for task in super()._choose_tasks(predictions, proposals, truth) if task in _TASKS]

    def _evaluate_task(
        self,
        task: Any,
        truth: Mapping[str, Any],
        detections: list[dict[str, Any]],
        img_ids: Sequence[Any] | None,
    ) -> dict[str, float]:
        scores = lvis_scores(
            self._usable(task, truth), detections, task, max_dets=self._limit, img_ids=img_ids
        )
        self.scores[task] = scores
        metrics = scores.metrics()
        frequencies = getattr(self.dataset.metadata, "extra", {}).get("class_frequencies", ())
        for letter, word in _GROUPS.items():
            members = [index for index, each in enumerate(frequencies) if each == letter]
            metrics[f"AP{letter}"] = 100 * scores.average_precision(class_index=members)
            if not members:
                logger.info("%s: no class is said to be %s, so AP%s is NaN", task, word, letter)
        logger.info("Evaluation results for %s:\n%s", task, metrics_table(metrics))
        for said in scores.explanations():
            logger.info("%s: %s", task, said)
        self._write(f"lvis_per_class_{task}.json", scores.per_class())
        return metrics
