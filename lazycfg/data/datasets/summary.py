"""Counting what a dataset holds, and checking it against what a model needs before training starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lazycfg.utils import printable

from .base import Record, describe, get_annotations, is_validated
from .coco_validation import AnnotationError, OnError
from .plausibility import Plausibility
from .records import RecordRules
from .wrappers import has_only_label_maps, what_was_skipped, why_empty


@dataclass
class DatasetSummary:
    """Counts over a dataset; crowd regions are counted apart and in none of the others.

    `first_without` maps "segmentation" / "keypoints" / "bbox" to words that name the first instance without
    it. `unusable` counts, by the same keys, instances whose value is set aside (see `Record`), which are not
    among those without.
    """

    num_images: int = 0
    num_empty_images: int = 0
    num_instances: int = 0
    num_crowd: int = 0
    per_class: Counter[int] = field(default_factory=Counter)
    without: Counter[str] = field(default_factory=Counter)
    first_without: dict[str, str] = field(default_factory=dict)
    unusable: Counter[str] = field(default_factory=Counter)
    keypoint_counts: Counter[int] = field(default_factory=Counter)
    most_instances: int = 0
    """In one image: an evaluation or a model that keeps fewer detections misses some."""
    plausibility: Plausibility = field(default_factory=Plausibility)
    num_invalid: int = 0
    """Records that break `RecordRules`, which are counted nowhere else; the first of them in `invalid`."""
    invalid: list[str] = field(default_factory=list)

    def add(self, record: Record, index: int, *, plausibility: bool = True) -> None:
        """Count one record.

        Args:
            plausibility: look for signs of misread boxes and masks, too.
        """
        self.num_images += 1
        annotations = [a for a in record.get("annotations", ()) if not a.get("iscrowd", 0)]
        self.num_crowd += len(record.get("annotations", ())) - len(annotations)
        self.num_empty_images += not annotations
        self.num_instances += len(annotations)
        self.most_instances = max(self.most_instances, len(annotations))
        if plausibility:
            self.plausibility.add(record, index)
        for number, annotation in enumerate(annotations):
            self.per_class[annotation["category_id"]] += 1
            unusable = annotation.get("unusable", ())
            self.unusable.update(list(unusable))
            for key in ("bbox", "segmentation", "keypoints"):
                if key in unusable:
                    continue
                value = annotation.get(key)
                if value is None or len(value) == 0:
                    self.without[key] += 1
                    self.first_without.setdefault(key, f"{describe(record, index)}, annotation {number}")
            keypoints = annotation.get("keypoints")
            if keypoints is not None and len(keypoints):
                self.keypoint_counts[np.size(keypoints) // 3] += 1

    def warnings(self) -> list[str]:
        """Return sentences about what looks wrong with all of the boxes and masks together."""
        return self.plausibility.warnings()

    def classes_without_instances(self, thing_classes: Sequence[str]) -> list[str]:
        """Return the names of classes that do not occur, in their order."""
        return [name for number, name in enumerate(thing_classes) if not self.per_class[number]]

    def table(self, thing_classes: tuple[str, ...] = ()) -> str:
        """Return lines "class  instances"."""
        rows = [
            f"  {printable(thing_classes[c]) if c < len(thing_classes) else c}: {n}"
            for c, n in sorted(self.per_class.items())
        ]
        head = (
            f"{self.num_images} images ({self.num_empty_images} without instances), "
            f"{self.num_instances} instances, {self.num_crowd} crowd regions"
        )
        return "\n".join([head, *rows])


def summarize(dataset: Any) -> DatasetSummary:
    """Return the dataset's own `summary` where it has one, else count over all records (not their images).

    Records of datasets that have not checked them are checked.
    """
    own = getattr(dataset, "summary", None)
    if isinstance(own, DatasetSummary) and is_validated(dataset):
        return own
    summary = DatasetSummary()
    rules = RecordRules(dataset)
    names = []
    for i in range(len(dataset)):
        record = get_annotations(dataset, i)
        names.append(record.get("file_name") if isinstance(record, Mapping) else None)
        problem = None if rules.validated else rules.problem(record)
        if problem is None:
            summary.add(record, i, plausibility=not rules.validated)
            continue
        summary.num_invalid += 1
        if len(summary.invalid) < 5:
            summary.invalid.append(f"{describe(record, i)}: {problem}")
    if not rules.validated:
        summary.plausibility.add_file_names(names)
    return summary


def check_dataset(
    dataset: Any,
    *,
    num_classes: int | None = None,
    masks: bool = False,
    keypoints: int | bool = False,
    boxes: bool = True,
    name: str = "dataset",
    on_error: OnError = "raise",
) -> DatasetSummary:
    """Check annotations against what the heads of a model need.

    Args:
        num_classes: classes the model tells apart; None: not checked.
        masks: a mask head is to be trained.
        keypoints: number of keypoints of the keypoint head; True: any number, but the same everywhere.
        boxes: boxes are to be trained.
        name: of the dataset, for the message.
        on_error: "skip" if records that break `RecordRules` are to be left out when they are drawn.

    Raises:
        AnnotationError: all that does not fit, each with its first record and the way out.
    """
    summary = summarize(dataset)
    metadata = getattr(dataset, "metadata", None)
    title = f"{name} {printable(metadata.name)!r}" if metadata is not None and metadata.name else name
    problems: list[str] = []
    remedy: dict[str, str] = {}
    if summary.num_invalid and (on_error == "raise" or summary.num_images == 0):
        lines = "".join(f"\n      {line}" for line in summary.invalid)
        problems.append(
            f"{summary.num_invalid} of {len(dataset)} records cannot be used, the first of them:{lines}\n"
            '    on_error="skip" of the loader leaves such records out'
        )
        remedy["on_error"] = "skip"
    elif summary.num_images == 0:
        problems.append(why_empty(dataset))
    elif summary.num_instances == 0 and not has_only_label_maps(dataset):
        problems.append(
            f"none of its {summary.num_images} images has an annotated instance{what_was_skipped(dataset)}"
        )
    if num_classes is not None and summary.per_class:
        largest = max(summary.per_class)
        known = len(getattr(metadata, "thing_classes", ()))
        if largest >= num_classes:
            problems.append(
                f"it has category ids up to {largest} but the model tells {num_classes} classes apart "
                f"(ids 0..{num_classes - 1}); set the model's num_classes to {max(known, largest + 1)}"
            )
        elif known and known != num_classes:
            problems.append(f"it has {known} classes but the model's num_classes is {num_classes}")
    twice = [n for n, count in Counter(getattr(metadata, "thing_classes", ())).items() if count > 1]
    if twice:
        problems.append(f"its metadata has classes of the same name: {', '.join(map(repr, twice))}")
    for wanted, key, noun in ((masks, "segmentation", "masks"), (keypoints, "keypoints", "keypoints")):
        if wanted and summary.num_instances and summary.unusable[key] == summary.num_instances:
            problems.append(f"the {noun} of all its {summary.num_instances} instances cannot be used")
    if boxes:
        problems += _missing(summary, "bbox", "boxes", "every instance needs one")
    for needed, key, head, option in (
        (masks, "segmentation", "mask", "use_instance_mask"),
        (keypoints, "keypoints", "keypoint", "use_keypoint"),
    ):
        if needed and summary.without[key]:
            problems += _missing(
                summary,
                key,
                f"{head}s",
                f"the mapper's {option} asks for them: add them, or set {option} to False and train a model "
                f"without a {head} head (model.roi_heads.{head}_head=None)",
            )
            remedy[f"mapper.{option}"] = "false"
    if keypoints:
        wanted = {keypoints} if keypoints is not True else set(list(summary.keypoint_counts)[:1])
        other = {k: n for k, n in summary.keypoint_counts.items() if k not in wanted}
        if other:
            problems.append(
                f"instances have {dict(summary.keypoint_counts)} keypoints, expected {sorted(wanted)}"
            )
    if problems:
        raise AnnotationError("\n".join([f"{title} does not fit:", *(f"  - {p}" for p in problems)]), remedy)
    return summary


def _missing(summary: DatasetSummary, key: str, noun: str, advice: str) -> list[str]:
    count = summary.without[key]
    if not count:
        return []
    return [
        f"{count} of {summary.num_instances} instances have no {noun} "
        f"(first: {summary.first_without[key]}); {advice}"
    ]
