"""Masks relative to boxes: pasting them into images, padding them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lazycfg.structures.pasting import MaskCrop, paste_masks_in_boxes, paste_masks_in_image

__all__ = ["MaskCrop", "pad_masks", "paste_masks_in_boxes", "paste_masks_in_image", "scale_boxes"]


def pad_masks(masks: Tensor, padding: int) -> tuple[Tensor, float]:
    """Surround masks with zeros.

    Args:
        masks: (N, M, M).
        padding: pixels added at every side.

    Returns:
        (N, M + 2 * padding, M + 2 * padding), and by how much a side has grown: what `scale_boxes` needs.
    """
    size = masks.shape[-1]
    return F.pad(masks, (padding, padding, padding, padding)), (size + 2 * padding) / size


def scale_boxes(boxes: Tensor, scale: float) -> Tensor:
    """Grow boxes (N, 4) XYXY around their centres."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    halves = (boxes[:, 2:] - boxes[:, :2]) / 2 * scale
    return torch.cat((centres - halves, centres + halves), dim=1)
