"""Data sets with DensePose annotations, and their mapper."""

from .datasets import DensePoseCocoDataset, DensePoseLVISDataset, has_densepose, has_densepose_or_masks
from .mapper import DensePoseMapper
from .validation import DENSEPOSE_KEYS, densepose_problem

__all__ = [
    "DENSEPOSE_KEYS",
    "DensePoseCocoDataset",
    "DensePoseLVISDataset",
    "DensePoseMapper",
    "densepose_problem",
    "has_densepose",
    "has_densepose_or_masks",
]
