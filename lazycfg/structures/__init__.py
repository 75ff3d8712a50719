"""Containers of tensors for images and what is seen in them."""

from lazycfg.structures.box_mode import BoxMode
from lazycfg.structures.boxes import (
    Boxes,
    matched_pairwise_iou,
    pairwise_intersection,
    pairwise_ioa,
    pairwise_iou,
    pairwise_point_box_distance,
)
from lazycfg.structures.image_list import ImageList
from lazycfg.structures.instances import Instances

__all__ = [
    "BoxMode",
    "Boxes",
    "ImageList",
    "Instances",
    "matched_pairwise_iou",
    "pairwise_intersection",
    "pairwise_ioa",
    "pairwise_iou",
    "pairwise_point_box_distance",
]
