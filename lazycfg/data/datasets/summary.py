"""Counting what a dataset holds, and checking it against what a model needs before training starts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from .base import Record, describe, get_annotations


@dataclass
class DatasetSummary:
    """Counts over a dataset; crowd regions are counted apart and in none of the others.

    `first_without` maps "segmentation" / "keypoints" / "bbox" to words that name the first instance without
    it.
    """

    num_images: int = 0
    num_empty_images: int = 0
    num_instances: int = 0
    num_crowd: int = 0
    per_class: Counter[int] = field(default_factory=Counter)
    without: Counter[str] = field(default_factory=Counter)
    first_without: dict[str, str] = field(default_factory=dict)
    keypoint_counts: Counter[int] = field(default_factory=Counter)

    def add(self, record: Record, index: int) -> None:
        """Count one record."""
        self.num_images += 1
        annotations = [a for a in record.get("annotations", ()) if not a.get("iscrowd", 0)]
        self.num_crowd += len(record.get("annotations", ())) - len(annotations)
        self.num_empty_images += not annotations
        self.num_instances += len(annotations)
        for number, annotation in enumerate(annotations):
            self.per_class[annotation["category_id"]] += 1
            for key in ("bbox", "segmentation", "keypoints"):
                value = annotation.get(key)
                if value is None or len(value) == 0:
                    self.without[key] += 1
                    self.first_without.setdefault(key, f"{describe(record, index)}, annotation {number}")
            if annotation.get("keypoints"):
                self.keypoint_counts[len(annotation["keypoints"]) // 3] += 1

    def table(self, thing_classes: tuple[str, ...] = ()) -> str:
        """Lines "class  instances"."""
        rows = [
            f"  {thing_classes[c] if c < len(thing_classes) else c}: {n}"
            for c, n in sorted(self.per_class.items())
        ]
        head = (
            f"{self.num_images} images ({self.num_empty_images} without instances), "
            f"{self.num_instances} instances, {self.num_crowd} crowd regions"
        )
        return "\n".join([head, *rows])


def summarize(dataset: Any) -> DatasetSummary:
    """The dataset's own `summary` where it has one, else counted over all records (not their pictures)."""
    own = getattr(dataset, "summary", None)
    if isinstance(own, DatasetSummary):
        return own
    summary = DatasetSummary()
    for i in range(len(dataset)):
        summary.add(get_annotations(dataset, i), i)
    return summary


def check_dataset(
    dataset: Any,
    *,
    num_classes: int | None = None,
    masks: bool = False,
    keypoints: int | bool = False,
    boxes: bool = True,
    name: str = "dataset",
) -> DatasetSummary:
    """Check annotations against what the heads of a model need.

    Args:
        num_classes: classes the model tells apart; None: not checked.
        masks: a mask head is to be trained.
        keypoints: number of keypoints of the keypoint head; True: any number, but the same everywhere.
        boxes: boxes are to be trained.
        name: of the dataset, for the message.

    Raises:
        ValueError: all that does not fit, each with its first record and the way out.
    """
    summary = summarize(dataset)
    metadata = getattr(dataset, "metadata", None)
    title = f"{name} {metadata.name!r}" if metadata is not None and metadata.name else name
    problems: list[str] = []
    if summary.num_images == 0:
        problems.append("it holds no images")
    elif summary.num_instances == 0 and not _has_only_label_maps(dataset):
        problems.append(f"none of its {summary.num_images} images has an annotated instance")
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
    if boxes:
        problems += _missing(summary, "bbox", "boxes", "every instance needs one")
    if masks:
        problems += _missing(
            summary,
            "segmentation",
            "masks",
            "a mask head needs them: add them, or leave the mask head out of the model and set the mapper's "
            "use_instance_mask to False",
        )
    if keypoints:
        problems += _missing(
            summary,
            "keypoints",
            "keypoints",
            "a keypoint head needs them: add them, or leave the keypoint head out and set the mapper's "
            "use_keypoint to False",
        )
        wanted = {keypoints} if keypoints is not True else set(list(summary.keypoint_counts)[:1])
        other = {k: n for k, n in summary.keypoint_counts.items() if k not in wanted}
        if other:
            problems.append(
                f"instances have {dict(summary.keypoint_counts)} keypoints, expected {sorted(wanted)}"
            )
    if problems:
        raise ValueError("\n".join([f"{title} does not fit:", *(f"  - {p}" for p in problems)]))
    return summary


def _has_only_label_maps(dataset: Any) -> bool:
    """Whether a dataset is one for semantic segmentation, which has no instances."""
    record = get_annotations(dataset, 0)
    return "annotations" not in record and bool(
        {"sem_seg", "sem_seg_file_name", "pan_seg_file_name"} & set(record)
    )


def _missing(summary: DatasetSummary, key: str, noun: str, advice: str) -> list[str]:
    count = summary.without[key]
    if not count:
        return []
    return [
        f"{count} of {summary.num_instances} instances have no {noun} "
        f"(first: {summary.first_without[key]}); {advice}"
    ]
