"""Trackers that can be given a config, and their registry."""

from __future__ import annotations

from typing import Any

from lazycfg import tracking
from lazycfg.structures import Instances, pairwise_iou

from .configurable import OfConfig
from .registry import Registry
from .stand_in import StandIn

__all__ = [
    "TRACKER_HEADS_REGISTRY",
    "BBoxIOUTracker",
    "BaseHungarianTracker",
    "BaseTracker",
    "IOUWeightedHungarianBBoxIOUTracker",
    "VanillaHungarianBBoxIOUTracker",
    "build_tracker_head",
]

TRACKER_HEADS_REGISTRY = Registry("TRACKER_HEADS")
_HERE = __name__
TRACKER_HEADS_REGISTRY.answer(
    {
        name: f"{_HERE}:{name}"
        for name in ("BBoxIOUTracker", "IOUWeightedHungarianBBoxIOUTracker", "VanillaHungarianBBoxIOUTracker")
    }
)


def _arguments(cfg: Any) -> dict[str, Any]:
    section = cfg.TRACKER_HEADS
    return {
        "video_height": section.get("VIDEO_HEIGHT"),
        "video_width": section.get("VIDEO_WIDTH"),
        "max_num_instances": section.get("MAX_NUM_INSTANCES", 200),
        "max_lost_frame_count": section.get("MAX_LOST_FRAME_COUNT", 0),
        "min_box_rel_dim": section.get("MIN_BOX_REL_DIM", 0.02),
        "min_instance_period": section.get("MIN_INSTANCE_PERIOD", 1),
        "track_iou_threshold": section.get("TRACK_IOU_THRESHOLD", 0.5),
    }


class BaseTracker(tracking.BaseTracker, metaclass=StandIn):
    """Base of a program's own trackers."""

    stands_for = tracking.BaseTracker


class BaseHungarianTracker(tracking.BaseHungarianTracker, metaclass=StandIn):
    """Base of a program's own trackers by assignment."""

    stands_for = tracking.BaseHungarianTracker


class _OfConfig(OfConfig):
    @classmethod
    def from_config(cls, cfg: Any) -> dict[str, Any]:
        """Return the arguments that a config asks for."""
        return _arguments(cfg)


class BBoxIOUTracker(_OfConfig, tracking.BBoxIOUTracker, metaclass=StandIn):
    """`lazycfg.tracking.BBoxIOUTracker`, or of a config."""

    stands_for = tracking.BBoxIOUTracker


class VanillaHungarianBBoxIOUTracker(_OfConfig, tracking.VanillaHungarianBBoxIOUTracker, metaclass=StandIn):
    """`lazycfg.tracking.VanillaHungarianBBoxIOUTracker`, or of a config."""

    stands_for = tracking.VanillaHungarianBBoxIOUTracker


class IOUWeightedHungarianBBoxIOUTracker(
    _OfConfig, tracking.IOUWeightedHungarianBBoxIOUTracker, metaclass=StandIn
):
    """`lazycfg.tracking.IOUWeightedHungarianBBoxIOUTracker`, or of a config."""

    stands_for = tracking.IOUWeightedHungarianBBoxIOUTracker


def build_tracker_head(cfg: Any) -> Any:
    """Build the tracker that ``cfg.TRACKER_HEADS.TRACKER_NAME`` names."""
    return TRACKER_HEADS_REGISTRY.get(cfg.TRACKER_HEADS.TRACKER_NAME)(cfg)


def create_prediction_pairs(
    instances: Instances, prev_instances: Instances, iou_all: Any, threshold: float = 0.5
) -> list[dict[str, Any]]:
    """Return the pairs of objects of two frames whose boxes overlap by at least a threshold."""
    overlaps = pairwise_iou(instances.pred_boxes, prev_instances.pred_boxes) if iou_all is None else iou_all
    return [
        {
            "idx": i,
            "prev_idx": j,
            "prev_id": prev_instances.ID[j],
            "IoU": overlaps[i, j],
            "prev_period": prev_instances.ID_period[j],
        }
        for i in range(len(instances))
        for j in range(len(prev_instances))
        if overlaps[i, j] > threshold
    ]
