"""OpenImages' metric for boxes and masks."""

from __future__ import annotations

import csv
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lazycfg.evaluation.coco import COCOEvaluator, of_images
from lazycfg.evaluation.openimages_scores import Hierarchy, VerifiedLabels, openimages_scores
from lazycfg.evaluation.tables import metrics_table, per_class_table
from lazycfg.utils import closest

__all__ = ["OpenImagesEvaluator"]

logger = logging.getLogger(__name__)

_TASKS = ("bbox", "segm")
_COLUMNS = ("ImageID", "LabelName", "Confidence")


class OpenImagesEvaluator(COCOEvaluator):
    """Average precision at an overlap of 0.5 as the OpenImages challenges define it, see `openimages_scores`.

    The results of a task are percentages: AP50, the mean over the classes that have objects, and
    ``AP50-<class>``.

    Args:
        dataset: see `COCOEvaluator`; its crowds are groups of objects ("IsGroupOf").
        class_descriptions: a table of two columns, the labels that the other files use and the names of the
            classes (``class-descriptions-boxable.csv``); None: they use the names.
        hierarchy: a file that says which classes are kinds of which others
            (``bbox_labels_600_hierarchy.json``): objects count for the classes above theirs, too. None: no
            class stands above another, or the annotations are expanded already.
        image_labels: a table that says which classes are in which images and which are not
            (``validation-annotations-human-imagelabels-boxable.csv``). Detections of classes about which an
            image says nothing do not count. None: all count.
        count_groups: whether a group is an object to be found, as in the challenges; False: what lies in one
            does not count, as in the metric of the data set's release.
        tasks: any of "bbox", "segm"; None does what the predictions allow.
        output_dir: if given, ``openimages_instances_results.json`` (the detections in COCO's form) and
            ``openimages_per_class_<task>.json`` are written there.
        distributed: gather the predictions of all processes. False: each process evaluates what it saw.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file is of another kind, or names no class of the data set.
    """

    explained = False
    results_file = "openimages_instances_results.json"

    def __init__(
        self,
        *,
        dataset: Any,
        class_descriptions: str | os.PathLike[str] | None = None,
        hierarchy: str | os.PathLike[str] | None = None,
        image_labels: str | os.PathLike[str] | None = None,
        count_groups: bool = True,
        tasks: Sequence[str] | None = None,
        output_dir: str | os.PathLike[str] | None = None,
        distributed: bool = True,
    ) -> None:
        for task in tasks or ():
            if task not in _TASKS:
                raise ValueError(f"tasks: {task!r} is not one of {list(_TASKS)}{closest(task, _TASKS)}")
        super().__init__(dataset=dataset, tasks=tasks, output_dir=output_dir, distributed=distributed)
        self.count_groups = count_groups
        names = list(dataset.metadata.thing_classes)
        labels = {name: name for name in names}
        if class_descriptions is not None:
            labels = {row[0]: row[1] for _, row in _rows(class_descriptions) if len(row) == 2}
        self._index = {label: names.index(name) for label, name in labels.items() if name in names}
        if not self._index:
            raise ValueError(
                f"{os.fspath(class_descriptions or '')}: none of its classes is one of the data set, "
                f"{', '.join(names[:5])}, ..."
            )
        self._parents = None if hierarchy is None else self._read_hierarchy(Path(hierarchy))
        self._labels = None if image_labels is None else self._read_labels(image_labels)

    def _read_hierarchy(self, path: Path) -> dict[str, set[str]]:
        """Return the labels right above each label."""
        parents: dict[str, set[str]] = {}
        waiting = [json.loads(path.read_text(encoding="utf-8"))]
        while waiting:
            node = waiting.pop()
            if not isinstance(node, Mapping) or not isinstance(node.get("LabelName"), str):
                raise ValueError(
                    f"{path}: a class has no 'LabelName': expected OpenImages' hierarchy of classes"
                )
            for child in node.get("Subcategory", ()):
                parents.setdefault(child["LabelName"], set()).add(node["LabelName"])
                waiting.append(child)
        if not parents.keys() & self._index.keys():
            first = next(iter(parents), None)
            raise ValueError(
                f"{path}: its labels (such as {first!r}) are none of the data set's: give "
                "class_descriptions, the table of labels and names"
            )
        return parents

    def _read_labels(self, path: str | os.PathLike[str]) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
        """Return the labels that are in each image, and those that are not."""
        rows = _rows(path)
        _, head = next(rows, (0, []))
        if not set(_COLUMNS) <= set(head):
            raise ValueError(
                f"{os.fspath(path)}: its columns are {', '.join(head)}, expected {', '.join(_COLUMNS)}"
            )
        places = [head.index(name) for name in _COLUMNS]
        present: dict[str, set[str]] = {}
        absent: dict[str, set[str]] = {}
        for number, row in rows:
            try:
                image_id, label, confidence = (row[place] for place in places)
                side = present if float(confidence) > 0 else absent
            except (IndexError, ValueError):
                raise ValueError(
                    f"{os.fspath(path)}:{number} is no row of {', '.join(_COLUMNS)}: {row}"
                ) from None
            side.setdefault(image_id, set()).add(label)
        return present, absent

    def _evaluate_task(
        self,
        task: Any,
        truth: Mapping[str, Any],
        detections: list[dict[str, Any]],
        img_ids: Sequence[Any] | None,
    ) -> dict[str, float]:
        truth, detections = of_images(self._usable(task, truth), detections, img_ids)
        ids = [category["id"] for category in truth["categories"]]
        number = {label: ids[index] for label, index in self._index.items()}
        hierarchy = Hierarchy(self._by_id(self._parents or {}, number))
        verified = None
        if self._labels is not None:
            sides = (
                {image: _known(labels, number) for image, labels in side.items()} for side in self._labels
            )
            verified = VerifiedLabels(*sides)
        rows = openimages_scores(
            truth,
            detections,
            task,
            hierarchy=hierarchy,
            verified=verified,
            count_groups=self.count_groups,
        )
        values = np.array([row["AP50"] for row in rows])
        mean = float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")
        metrics = {"AP50": mean}
        logger.info("Evaluation results for %s (OpenImages):\n%s", task, metrics_table(metrics))
        self._write(f"openimages_per_class_{task}.json", rows)
        if len(rows) > 1:
            logger.info("Per class, %s:\n%s", task, per_class_table(rows))
            metrics |= {f"AP50-{row['class']}": row["AP50"] for row in rows}
        return metrics

    def _by_id(self, parents: Mapping[str, set[str]], number: Mapping[str, Any]) -> dict[Any, frozenset[Any]]:
        """Return the classes above each, by id, without those between that the data set has not."""
        whole = Hierarchy({label: frozenset(above) for label, above in parents.items()})
        return {number[label]: _known(whole.ancestors(label), number) for label in parents if label in number}


def _known(labels: set[str], number: Mapping[str, Any]) -> frozenset[Any]:
    return frozenset(number[label] for label in labels if label in number)


def _rows(path: str | os.PathLike[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the line and the fields of each row of a table."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        for row in reader:
            if row:
                yield reader.line_num, [value.strip() for value in row]
