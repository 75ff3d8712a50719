"""Annotations, outputs and results of DensePose."""

from .annotations import MESH_NAMES, DensePoseDataRelative, DensePoseList
from .chart_outputs import DensePoseChartPredictorOutput, DensePoseChartPredictorOutputWithConfidences
from .moving import transform_densepose
from .predictor_output import PredictorOutput
from .symmetry import DensePoseFileError, DensePoseTransformData

__all__ = [
    "MESH_NAMES",
    "DensePoseChartPredictorOutput",
    "DensePoseChartPredictorOutputWithConfidences",
    "DensePoseDataRelative",
    "DensePoseFileError",
    "DensePoseList",
    "DensePoseTransformData",
    "PredictorOutput",
    "transform_densepose",
]
