"""Losses of DensePose."""

from .chart import DensePoseChartLoss
from .chart_with_confidences import DensePoseChartWithConfidenceLoss
from .segm import MaskLoss, MaskOrSegmentationLoss, SegmentationLoss

__all__ = [
    "DensePoseChartLoss",
    "DensePoseChartWithConfidenceLoss",
    "MaskLoss",
    "MaskOrSegmentationLoss",
    "SegmentationLoss",
]
