"""Overlaps of rotated boxes, under the name they have among the layers."""

from __future__ import annotations

from lazycfg.structures.rotated_overlap import pairwise_iou_rotated

__all__ = ["pairwise_iou_rotated"]
