"""All objects of two frames matched at once: an assignment problem."""

from __future__ import annotations

import numpy as np

from lazycfg.structures import Instances
from lazycfg.tracking.assignment import linear_sum_assignment
from lazycfg.tracking.base_tracker import BaseTracker, OverlapTracker, box_overlaps

__all__ = [
    "LARGE_COST_VALUE",
    "BaseHungarianTracker",
    "IOUWeightedHungarianBBoxIOUTracker",
    "VanillaHungarianBBoxIOUTracker",
]

LARGE_COST_VALUE = 100_000.0
"""The cost of a pair that must not be matched."""


class BaseHungarianTracker(BaseTracker):
    """Base of Hungarian trackers: match two frames with the smallest sum of `build_cost_matrix`."""

    def build_cost_matrix(self, instances: Instances, prev_instances: Instances) -> np.ndarray:
        """Return the cost (N, M) of each pair; from `LARGE_COST_VALUE` on, it is never matched.

        Raises:
            NotImplementedError: a subclass has to do this.
        """
        raise NotImplementedError(f"{type(self).__name__} lacks build_cost_matrix(instances, prev_instances)")

    def match(self, instances: Instances, previous: Instances) -> tuple[np.ndarray, np.ndarray]:
        """Return as many pairs as possible, with the smallest sum of costs.

        Raises:
            ValueError: the costs have another shape, or one is no number.
        """
        cost = np.asarray(self.build_cost_matrix(instances, previous), dtype=np.float64)
        if cost.shape != (len(instances), len(previous)):
            raise ValueError(
                f"{type(self).__name__}.build_cost_matrix returned shape {cost.shape}, expected "
                f"{(len(instances), len(previous))}"
            )
        cost = np.minimum(cost, LARGE_COST_VALUE)
        rows, columns = linear_sum_assignment(cost)
        allowed = cost[rows, columns] < LARGE_COST_VALUE
        return rows[allowed], columns[allowed]


class VanillaHungarianBBoxIOUTracker(OverlapTracker, BaseHungarianTracker):
    """Match as many boxes as possible; all pairs that overlap enough are equally good.

    The arguments are those of `OverlapTracker`.
    """

    def build_cost_matrix(self, instances: Instances, prev_instances: Instances) -> np.ndarray:
        """Return the cost (N, M) of each pair of boxes."""
        overlaps = box_overlaps(instances, prev_instances).astype(np.float64)
        return np.where(overlaps >= self.track_iou_threshold, self.cost_of(overlaps), LARGE_COST_VALUE)

    def cost_of(self, overlaps: np.ndarray) -> np.ndarray:
        """Return the cost of pairs that overlap enough, given the IoU (N, M) of all."""
        return np.full_like(overlaps, -1.0)


class IOUWeightedHungarianBBoxIOUTracker(VanillaHungarianBBoxIOUTracker):
    """Match as many boxes as possible, with the largest sum of IoU."""

    def cost_of(self, overlaps: np.ndarray) -> np.ndarray:
        """Return the costs (N, M) of pairs that overlap enough: their negative IoU."""
        return -overlaps
