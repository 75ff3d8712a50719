"""Non-maximum suppression of upright boxes within groups."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import nms

__all__ = ["batched_nms"]


def batched_nms(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    """Suppress, within each group, the boxes that overlap one of a higher score.

    All groups (classes, levels, images) go through one call: each is moved to a place of its own. The places
    are computed in float64, where the shift is exact: in float32 they cost the overlap its last digits once
    there are many groups.

    Args:
        boxes: (N, 4) XYXY, finite.
        scores: (N,).
        idxs: (N,) integer, the group of each box.
        iou_threshold: boxes overlapping by more than this are suppressed.

    Returns:
        int64 indices of the boxes kept, by decreasing score.
    """
    if boxes.shape[-1] != 4:
        raise ValueError(f"batched_nms: expected boxes (N, 4), got {tuple(boxes.shape)}")
    if boxes.shape[0] == 0:
        return torch.empty(0, dtype=torch.int64, device=boxes.device)
    exact = boxes.float() if boxes.device.type == "mps" else boxes.double()
    low, high = torch.aminmax(exact)
    shifted = exact + (idxs.to(exact) * (high - low + 1))[:, None]
    return nms(shifted, scores.to(exact), iou_threshold)
