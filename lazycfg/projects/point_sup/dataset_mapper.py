"""The mapper that gives annotated points to the instances."""

from typing import Any

import numpy as np
import torch

from lazycfg.data import DatasetMapper
from lazycfg.data.datasets.base import Record, describe
from lazycfg.data.transforms import TransformList

__all__ = ["PointSupDatasetMapper"]


class PointSupDatasetMapper(DatasetMapper):
    """`DatasetMapper` that also gives ``gt_point_coords`` (N, P, 2), in pixels of the augmented image, and
    ``gt_point_labels`` (N, P): 1 on the object, 0 beside it, -1 where a point has left the image.

    The annotations of a record have "point_coords", P pairs [x, y] of whole numbers, the column and the line
    of a pixel, and "point_labels", P times 0 or 1.

    Args:
        sample_points: give so many points of each object, drawn anew for each image; more than there are are
            drawn with repetition. 0: all points, which must be equally many for all objects.
        kwargs: the arguments of `DatasetMapper`.
    """

    def __init__(self, *, sample_points: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if sample_points < 0:
            raise ValueError(f"PointSupDatasetMapper: sample_points must be 0 or more, got {sample_points}")
        self.sample_points = sample_points

    def further_fields(
        self,
        annotations: list[dict[str, Any]],
        transforms: TransformList,
        image_size: tuple[int, int],
        record: Record,
        rng: np.random.Generator,
    ) -> dict[str, Any]:
        """Return ``gt_point_coords`` and ``gt_point_labels``.

        Raises:
            ValueError: an annotation has no points, or not as many as the others.
        """
        if not annotations:
            nothing = torch.zeros(0, max(self.sample_points, 1))
            return {"gt_point_coords": nothing.unsqueeze(2).expand(-1, -1, 2), "gt_point_labels": nothing}
        drawn = [
            self._points(a, f"{describe(record)}: annotation {i}", rng) for i, a in enumerate(annotations)
        ]
        counts = [len(labels) for _, labels in drawn]
        if len(set(counts)) > 1:
            raise ValueError(
                f"{describe(record)}: its annotations have {min(counts)} to {max(counts)} points. "
                "PointSupDatasetMapper(sample_points=5) draws the same number of each: "
                "dataloader.train.mapper.sample_points=5"
            )
        coords = np.stack([c for c, _ in drawn])
        # from the index of a pixel to its centre
        moved = transforms.apply_coords(coords.reshape(-1, 2) + 0.5).reshape(coords.shape)
        labels = np.stack([own for _, own in drawn])
        limit = np.array(image_size[::-1])
        labels[((moved < 0) | (moved > limit)).any(axis=2)] = -1
        return {
            "gt_point_coords": torch.from_numpy(moved.astype(np.float32)),
            "gt_point_labels": torch.from_numpy(labels),
        }

    def _points(
        self, annotation: dict[str, Any], where: str, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return points (P, 2) as the file has them, and labels (P,)."""
        if annotation.get("point_coords") is None or annotation.get("point_labels") is None:
            raise ValueError(
                f"{where} has no 'point_coords' and 'point_labels', which PointSupDatasetMapper gives. "
                "CocoPointsDataset reads them from a file that has them; PointsFromMasks makes them of masks"
            )
        coords = np.asarray(annotation["point_coords"], dtype=np.float64).reshape(-1, 2)
        labels = np.array(annotation["point_labels"], dtype=np.float32)
        if len(coords) != len(labels) or len(labels) == 0:
            raise ValueError(f"{where} has {len(coords)} point_coords and {len(labels)} point_labels")
        if self.sample_points == 0:
            return coords, labels
        many = len(labels) >= self.sample_points
        rows = rng.choice(len(labels), self.sample_points, replace=not many)
        return coords[rows], labels[rows]
