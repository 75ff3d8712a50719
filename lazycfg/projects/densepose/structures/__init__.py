"""Annotations, outputs and results of DensePose."""

from .annotations import MESH_NAMES, DensePoseDataRelative, DensePoseList
from .chart_outputs import DensePoseChartPredictorOutput, DensePoseChartPredictorOutputWithConfidences
from .predictor_output import PredictorOutput

__all__ = [
    "MESH_NAMES",
    "DensePoseChartPredictorOutput",
    "DensePoseChartPredictorOutputWithConfidences",
    "DensePoseDataRelative",
    "DensePoseList",
    "PredictorOutput",
]
