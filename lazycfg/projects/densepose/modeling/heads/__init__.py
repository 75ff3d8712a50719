"""Heads: features of regions, before a predictor."""

from .deeplab import DensePoseDeepLabHead
from .v1convx import DensePoseV1ConvXHead

__all__ = ["DensePoseDeepLabHead", "DensePoseV1ConvXHead"]
