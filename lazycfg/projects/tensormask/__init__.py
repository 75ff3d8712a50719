"""TensorMask (Chen et al., arXiv:1903.12174): instance masks from a sliding window."""

from .anchors import TensorMaskAnchorGenerator, assign_anchors
from .head import TensorMaskHead
from .losses import focal_star_loss
from .swap_align import SwapAlign2Nat, swap_align2nat, swap_align2nat_at
from .tensormask import TensorMask

__all__ = [
    "SwapAlign2Nat",
    "TensorMask",
    "TensorMaskAnchorGenerator",
    "TensorMaskHead",
    "assign_anchors",
    "focal_star_loss",
    "swap_align2nat",
    "swap_align2nat_at",
]
