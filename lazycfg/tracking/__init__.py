"""Trackers: follow objects through the frames of a video by their boxes."""

from .assignment import linear_sum_assignment
from .base_tracker import BaseTracker, OverlapTracker
from .bbox_iou_tracker import BBoxIOUTracker
from .hungarian_tracker import (
    LARGE_COST_VALUE,
    BaseHungarianTracker,
    IOUWeightedHungarianBBoxIOUTracker,
    VanillaHungarianBBoxIOUTracker,
)

__all__ = [
    "LARGE_COST_VALUE",
    "BBoxIOUTracker",
    "BaseHungarianTracker",
    "BaseTracker",
    "IOUWeightedHungarianBBoxIOUTracker",
    "OverlapTracker",
    "VanillaHungarianBBoxIOUTracker",
    "linear_sum_assignment",
]
