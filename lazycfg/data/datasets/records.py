"""The rules that records of any dataset are held to, as those of `CocoDataset` are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from lazycfg.structures import BoxMode

from .base import describe, get_annotations, is_validated
from .coco_validation import (
    AnnotationError,
    Problem,
    box_problem,
    crowd_problem,
    is_id,
    is_whole,
    value_problem,
)


class RecordRules:
    """What a record of a dataset must keep to.

    Classes must lie in the number that the metadata has names for, boxes and masks must be right and inside
    the image, keypoints as many as the metadata names. A record without "annotations" is left to its mapper.

    Args:
        dataset: whose metadata sets the numbers.
        any_record: leave records that are no dicts to the mapper, too.
    """

    def __init__(self, dataset: Any, *, any_record: bool = False) -> None:
        self.any_record = any_record
        metadata = getattr(dataset, "metadata", None)
        self.num_classes = len(getattr(metadata, "thing_classes", ()))
        self.num_keypoints = len(getattr(metadata, "keypoint_names", ()))
        self.validated = is_validated(dataset)

    def check(self, record: Any, index: int) -> None:
        """Check a record, unless its dataset has checked it.

        Raises:
            AnnotationError: it breaks a rule; the message names record and annotation.
        """
        problem = None if self.validated else self.problem(record)
        if problem is not None:
            raise AnnotationError(f"{describe(record, index)}: {problem}")

    def problem(self, record: Any) -> str | None:
        """Return what is wrong with a record, or None."""
        if not isinstance(record, Mapping):
            return None if self.any_record else f"it is a {type(record).__name__}, expected a dict"
        size = record.get("height"), record.get("width")
        for key, side in zip(("height", "width"), size, strict=True):
            if side is not None and (not is_whole(side) or side <= 0):
                return f"{key} must be positive, a number of pixels, got {side!r}"
        if "annotations" not in record:
            return None
        annotations = record["annotations"]
        if not isinstance(annotations, list | tuple):
            return f"annotations must be a list of dicts, got a {type(annotations).__name__}"
        for number, annotation in enumerate(annotations):
            if not isinstance(annotation, Mapping):
                return f"annotations[{number}] is a {type(annotation).__name__}, expected a dict"
            problem = self._annotation(annotation, *size)
            if problem is not None:
                return f"annotations[{number}]: {problem.text}"
        return None

    def _annotation(
        self, annotation: Mapping[str, Any], height: float | None, width: float | None
    ) -> Problem | None:
        category = annotation.get("category_id")
        if not isinstance(category, int | np.integer) or isinstance(category, bool):
            return Problem("wrong category", f"category_id must be a whole number from 0, got {category!r}")
        if category < 0 or (self.num_classes and category >= self.num_classes):
            classes = f"the {self.num_classes} classes" if self.num_classes else "classes"
            hint = "; ids of records count from 0" if category == self.num_classes else ""
            return Problem(
                "wrong category",
                f"category_id {category} is none of {classes} "
                f"(0..{self.num_classes - 1 if self.num_classes else '...'}){hint}",
            )
        problem = crowd_problem(annotation)
        if problem is not None:
            return problem
        try:
            mode = BoxMode(annotation["bbox_mode"])
        except (KeyError, ValueError, TypeError):
            return Problem(
                "wrong bbox_mode", f"bbox_mode must be a BoxMode, got {annotation.get('bbox_mode')!r}"
            )
        if mode in (BoxMode.XYXY_REL, BoxMode.XYWH_REL):
            return Problem("wrong bbox_mode", f"bbox_mode {mode.name} is relative; give boxes in pixels")
        problem = box_problem(annotation.get("bbox"), mode, width, height)
        if problem is not None:
            return problem
        for key in ("segmentation", "keypoints", "area"):
            value = annotation.get(key)
            if value is None or (key != "area" and hasattr(value, "__len__") and len(value) == 0):
                continue
            problem = value_problem(key, value, width, height, self.num_keypoints)  # type: ignore[arg-type]
            if problem is not None:
                return problem
        return None


def records_problem(dataset: Any, *, for_evaluation: bool, any_record: bool) -> str | None:
    """Go through the records of a dataset and return what is wrong with them; None if nothing is.

    Args:
        for_evaluation: ids of images must be there and differ, as results are told apart by them.
        any_record: see `RecordRules`.
    """
    rules = RecordRules(dataset, any_record=any_record)
    if rules.validated and not for_evaluation:
        return None
    wrong: list[str] = []
    count = 0
    ids: Counter[Any] = Counter()
    for index in range(len(dataset)):
        record = get_annotations(dataset, index)
        problem = None if rules.validated else rules.problem(record)
        if for_evaluation and isinstance(record, Mapping) and problem is None:
            image_id = record.get("image_id")
            if image_id is None:
                problem = "it has no image_id, by which an evaluation tells images apart"
            elif not is_id(image_id):
                problem = f"image_id must be a whole number or text, got {image_id!r}"
            else:
                ids[image_id] += 1
                if ids[image_id] == 2:
                    problem = (
                        "its image_id is that of another record, too: an evaluation would take them for one"
                    )
        if problem is not None:
            count += 1
            if len(wrong) < 5:
                wrong.append(f"{describe(record, index)}: {problem}")
    if not wrong:
        return None
    more = f"\n  ... and {count - len(wrong)} more" if count > len(wrong) else ""
    lines = "\n".join(f"  {line}" for line in wrong)
    return f"{count} of {len(dataset)} records cannot be used:\n{lines}{more}"
