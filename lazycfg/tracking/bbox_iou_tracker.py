"""The nearest box of the frame before."""

from __future__ import annotations

import numpy as np

from lazycfg.structures import Instances
from lazycfg.tracking.base_tracker import OverlapTracker, box_overlaps

__all__ = ["BBoxIOUTracker"]


class BBoxIOUTracker(OverlapTracker):
    """Match boxes greedily: pairs in the order of their IoU, the best first, each box once.

    A subclass that overrides `overlaps` tracks by something else.

    The arguments are those of `OverlapTracker`.
    """

    def overlaps(self, instances: Instances, previous: Instances) -> np.ndarray:
        """Return how much each pair (N, M) is alike, 0 to 1: the IoU of the boxes."""
        return box_overlaps(instances, previous)

    def match(self, instances: Instances, previous: Instances) -> tuple[np.ndarray, np.ndarray]:
        """Return the pairs of objects whose boxes overlap most."""
        overlaps = self.overlaps(instances, previous)
        open_pairs = np.where(overlaps >= self.track_iou_threshold, overlaps, -1.0)
        pairs: list[np.ndarray] = []
        # Each round takes all pairs that are the best of their row and of their column: there is always one.
        while open_pairs.size and open_pairs.max() >= 0:
            best_column, best_row = open_pairs.argmax(axis=1), open_pairs.argmax(axis=0)
            rows = np.flatnonzero(best_row[best_column] == np.arange(len(best_column)))
            rows = rows[open_pairs[rows, best_column[rows]] >= 0]
            columns = best_column[rows]
            pairs.append(np.stack([rows, columns]))
            open_pairs[rows], open_pairs[:, columns] = -1.0, -1.0
        found, before = np.concatenate(pairs, axis=1) if pairs else np.zeros((2, 0), dtype=np.int64)
        return found, before
