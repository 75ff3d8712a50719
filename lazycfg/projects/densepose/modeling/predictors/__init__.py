"""Predictors: features of regions to maps over the boxes."""

from .chart import DensePoseChartPredictor
from .chart_with_confidence import DensePoseChartWithConfidencePredictor

__all__ = ["DensePoseChartPredictor", "DensePoseChartWithConfidencePredictor"]
