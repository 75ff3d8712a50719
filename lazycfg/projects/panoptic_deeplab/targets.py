"""What Panoptic-DeepLab is trained on: classes, heat of centres, offsets to them, and weights of all."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

__all__ = ["PanopticDeepLabTargetGenerator"]


class PanopticDeepLabTargetGenerator:
    """Makes the targets of one image out of its panoptic segments.

    Args:
        ignore_label: of pixels without a class.
        thing_ids: which of the classes are things.
        sigma: of the Gaussian around each centre, in pixels.
        ignore_stuff_in_offset: train offsets on things only.
        small_instance_area: instances of fewer pixels are small.
        small_instance_weight: weight of the class of their pixels.
        ignore_crowd_in_semantic: crowds have no class.
    """

    def __init__(
        self,
        ignore_label: int,
        thing_ids: Sequence[int],
        sigma: int = 8,
        ignore_stuff_in_offset: bool = False,
        small_instance_area: int = 0,
        small_instance_weight: float = 1,
        ignore_crowd_in_semantic: bool = False,
    ) -> None:
        self.ignore_label = ignore_label
        self.thing_ids = frozenset(thing_ids)
        self.sigma = sigma
        self.ignore_stuff_in_offset = ignore_stuff_in_offset
        self.small_instance_area = small_instance_area
        self.small_instance_weight = small_instance_weight
        self.ignore_crowd_in_semantic = ignore_crowd_in_semantic
        self._reach = 3 * sigma + 1
        square = (np.arange(2 * self._reach + 1) - self._reach) ** 2.0
        self._gaussian = np.exp(-(square[:, None] + square) / (2 * sigma**2)).astype(np.float32)

    def __call__(self, panoptic: np.ndarray, segments_info: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return the targets.

        Args:
            panoptic: (H, W) ids of segments. Pixels whose id is not listed count nowhere.
            segments_info: dicts with "id", "iscrowd", the class in maps of labels ("label" or, without it,
                "category_id"), and perhaps "isthing".

        Returns:
            "sem_seg" (H, W) int64; "sem_seg_weights" (H, W); "center" (H, W), the heat; "center_points", the
            list of [y, x]; "center_weights" (1, H, W); "offset" (2, H, W), from each pixel of a thing to its
            centre, (y, x); "offset_weights" (1, H, W). Weights are float32.

        Raises:
            ValueError: a segment is listed as a thing and its class is none of `thing_ids`, or the reverse.
        """
        height, width = panoptic.shape
        ids, which = np.unique(panoptic, return_inverse=True)
        which = which.reshape(height, width)
        table = _Segments(len(ids), self.ignore_label)
        position = {int(value): row for row, value in enumerate(ids)}
        area = np.bincount(which.ravel(), minlength=len(ids))
        rows, columns = (
            np.bincount(which.ravel(), weights=axis.ravel(), minlength=len(ids))
            for axis in np.broadcast_arrays(np.arange(height)[:, None], np.arange(width)[None])
        )
        center = np.zeros((height, width), dtype=np.float32)
        points = []
        for segment in segments_info:
            row = position.get(int(segment["id"]))
            if row is None:
                continue  # cropped away
            label, crowd = int(segment.get("label", segment["category_id"])), bool(segment.get("iscrowd", 0))
            thing = label in self.thing_ids
            if bool(segment.get("isthing", thing)) != thing:
                raise ValueError(
                    f"a segment of class {label} is {'stuff' if thing else 'a thing'} in the data, and "
                    f"{'a thing' if thing else 'stuff'} by thing_ids={sorted(self.thing_ids)}"
                )
            if not (crowd and self.ignore_crowd_in_semantic):
                table.label[row] = label
            table.center_weight[row] = not crowd
            table.offset_weight[row] = not crowd and (thing or not self.ignore_stuff_in_offset)
            if thing:
                if area[row] < self.small_instance_area:
                    table.sem_seg_weight[row] = self.small_instance_weight
                y, x = rows[row] / area[row], columns[row] / area[row]
                table.center[row] = y, x
                points.append([float(y), float(x)])
                self._add_heat(center, round(float(y)), round(float(x)))
        of_center = table.center[which]
        offset = np.zeros((2, height, width), dtype=np.float32)
        known = ~np.isnan(of_center[..., 0])
        offset[0][known] = (of_center[..., 0] - np.arange(height)[:, None])[known]
        offset[1][known] = (of_center[..., 1] - np.arange(width)[None])[known]
        return {
            "sem_seg": torch.from_numpy(table.label[which]),
            "sem_seg_weights": torch.from_numpy(table.sem_seg_weight[which]),
            "center": torch.from_numpy(center),
            "center_points": points,
            "center_weights": torch.from_numpy(table.center_weight[which])[None],
            "offset": torch.from_numpy(offset),
            "offset_weights": torch.from_numpy(table.offset_weight[which])[None],
        }

    def _add_heat(self, center: np.ndarray, y: int, x: int) -> None:
        reach, (height, width) = self._reach, center.shape
        y0, y1 = max(y - reach, 0), min(y + reach + 1, height)
        x0, x1 = max(x - reach, 0), min(x + reach + 1, width)
        heat = self._gaussian[y0 - y + reach : y1 - y + reach, x0 - x + reach : x1 - x + reach]
        np.maximum(center[y0:y1, x0:x1], heat, out=center[y0:y1, x0:x1])


class _Segments:
    """What is true of all pixels of a segment, for each id in the map."""

    def __init__(self, count: int, ignore_label: int) -> None:
        self.label = np.full(count, ignore_label, dtype=np.int64)
        self.sem_seg_weight = np.ones(count, dtype=np.float32)
        self.center_weight = np.zeros(count, dtype=np.float32)
        self.offset_weight = np.zeros(count, dtype=np.float32)
        self.center = np.full((count, 2), np.nan)
