"""Annotations, outputs and results of DensePose."""

from .annotations import MESH_NAMES, DensePoseDataRelative, DensePoseList
from .chart_outputs import DensePoseChartPredictorOutput, DensePoseChartPredictorOutputWithConfidences
from .cse_outputs import (
    DensePoseEmbeddingPredictorOutput,
    DensePoseEmbeddingPredictorOutputWithConfidences,
)
from .predictor_output import PredictorOutput

__all__ = [
    "MESH_NAMES",
    "DensePoseChartPredictorOutput",
    "DensePoseChartPredictorOutputWithConfidences",
    "DensePoseDataRelative",
    "DensePoseEmbeddingPredictorOutput",
    "DensePoseEmbeddingPredictorOutputWithConfidences",
    "DensePoseList",
    "PredictorOutput",
]
