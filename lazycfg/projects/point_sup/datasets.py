"""Datasets whose objects have labelled points."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from lazycfg.data import CocoDataset, get_annotations, summarize
from lazycfg.data.datasets.base import DatasetWrapper, Record, describe
from lazycfg.data.datasets.coco_validation import AnnotationError, Problem, is_number
from lazycfg.data.datasets.summary import DatasetSummary
from lazycfg.structures import BitMasks, BoxMode
from lazycfg.structures.rle import decode_rle

__all__ = ["CocoPointsDataset", "PointsFromMasks", "label_points", "points_problem"]

POINT_KEYS = ("point_coords", "point_labels")


class CocoPointsDataset(CocoDataset):
    """A `CocoDataset` whose annotations have "point_coords", pairs [x, y] of whole numbers (the column and
    the line of a pixel), and "point_labels", as many times 0 or 1. Crowd regions need none.

    Args:
        kwargs: the arguments of `CocoDataset`. With on_error="skip" annotations whose points cannot be right
            are left out, too.

    Raises:
        AnnotationError: points that cannot be right; the message names file, image and annotation.
    """

    validated = True

    def __init__(
        self,
        *,
        json_file: str | os.PathLike[str],
        extra_annotation_keys: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        keys = (*POINT_KEYS, *(k for k in extra_annotation_keys if k not in POINT_KEYS))
        super().__init__(json_file=json_file, extra_annotation_keys=keys, **kwargs)

    def further_problem(self, annotation: dict[str, Any], image: dict[str, Any]) -> Problem | None:
        """Return what is wrong with the points of an annotation, or None."""
        if annotation.get("iscrowd", 0) == 1:
            return None
        return points_problem(annotation, image["width"], image["height"])


def points_problem(annotation: dict[str, Any], width: int, height: int) -> Problem | None:
    """Return what is wrong with the points of an annotation of an image of this size, None if nothing is."""
    coords: Any = annotation.get("point_coords")
    labels: Any = annotation.get("point_labels")
    for key, value in zip(POINT_KEYS, (coords, labels), strict=True):
        if not isinstance(value, list | tuple) or not value:
            return Problem(f"without {key}", f"{key} must be a list of one or more, got {value!r}")
    if len(coords) != len(labels):
        return Problem("points without labels", f"it has {len(coords)} points and {len(labels)} labels")
    for point in coords:
        if not isinstance(point, list | tuple) or len(point) != 2 or not all(map(is_number, point)):
            return Problem("malformed point", f"point_coords must be pairs [x, y] of numbers, got {point!r}")
        if not (0 <= point[0] < width and 0 <= point[1] < height):
            return Problem(
                "point outside", f"the point {list(point)} is not in its image of {width}x{height} pixels"
            )
    for label in labels:
        if isinstance(label, bool) or label not in (0, 1):
            return Problem("wrong point label", f"point_labels must be 0 or 1, got {label!r}")
    return None


class PointsFromMasks(DatasetWrapper):
    """A dataset with masks as one with points: each object has points drawn evenly from its box, labelled by
    its mask, which is left out then.

    The points of an object are a function of `seed` and its image, the same at every reading.

    Args:
        dataset: any dataset whose annotations have "segmentation".
        num_points: points of each object.
        seed: another seed, other points.
    """

    validated = DatasetWrapper.dataset_validated

    def __init__(self, *, dataset: Any, num_points: int = 10, seed: int = 0) -> None:
        if num_points < 1:
            raise ValueError(f"PointsFromMasks: num_points must be 1 or more, got {num_points}")
        super().__init__(dataset=dataset)
        self.num_points = num_points
        self.seed = seed

    @property
    def summary(self) -> DatasetSummary:
        """Counts of what there is: the points change nothing about them."""
        return summarize(self.dataset)

    def __getitem__(self, index: int) -> Record:
        return self._with_points(self.dataset[index], index)

    def get_annotations(self, index: int) -> Record:
        """Return the record without its image."""
        return self._with_points(get_annotations(self.dataset, index), index)

    def _with_points(self, record: Record, index: int) -> Record:
        rng = np.random.default_rng((self.seed, index % len(self)))
        annotations = record["annotations"]
        for number, annotation in enumerate(annotations):
            if annotation.get("segmentation") is None:
                raise AnnotationError(
                    f"{describe(record, index)}: annotation {number} has no 'segmentation', which "
                    "PointsFromMasks labels points by"
                )
        boxes = [BoxMode.convert(list(a["bbox"]), a["bbox_mode"], BoxMode.XYWH_ABS) for a in annotations]
        coords, labels = label_points(
            rng.random((len(annotations), self.num_points, 2)),
            np.asarray(boxes, dtype=np.float64).reshape(-1, 4),
            [a["segmentation"] for a in annotations],
            record["height"],
            record["width"],
        )
        pointed = [
            {k: v for k, v in annotation.items() if k != "segmentation"}
            | {"point_coords": own_coords, "point_labels": own_labels}
            for annotation, own_coords, own_labels in zip(annotations, coords, labels, strict=True)
        ]
        return {**record, "annotations": pointed}


def label_points(
    drawn: np.ndarray, boxes: np.ndarray, segmentations: Sequence[Any], height: int, width: int
) -> tuple[list[list[list[int]]], list[list[int]]]:
    """Place points in the boxes of N objects and say which of them are on their object.

    Args:
        drawn: (N, P, 2) in [0, 1), relative to the box.
        boxes: (N, 4) x, y, width, height in pixels.
        segmentations: of each object flat polygons or RLE, in an image of (height, width).

    Returns:
        Of each object [[x, y], ...], the pixels that the points fall into, and 1 for those on it, else 0.
    """
    coords = np.floor(drawn * boxes[:, None, 2:] + boxes[:, None, :2]).astype(np.int64)
    coords = coords.clip(0, np.array([width, height]) - 1)
    masks = np.zeros((len(segmentations), height, width), dtype=bool)
    by_polygons = [i for i, segmentation in enumerate(segmentations) if not isinstance(segmentation, dict)]
    polygons = [[np.asarray(p, dtype=np.float64).reshape(-1) for p in segmentations[i]] for i in by_polygons]
    masks[by_polygons] = BitMasks.from_polygon_masks(polygons, height, width).tensor.numpy()
    for i, segmentation in enumerate(segmentations):
        if isinstance(segmentation, dict):
            masks[i] = decode_rle(segmentation)
    labels = masks[np.arange(len(masks))[:, None], coords[..., 1], coords[..., 0]].astype(np.int64)
    return coords.tolist(), labels.tolist()
