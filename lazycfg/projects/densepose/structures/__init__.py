"""Annotations, outputs and results of DensePose."""

from .annotations import MESH_NAMES, DensePoseDataRelative, DensePoseList
from .chart_outputs import DensePoseChartPredictorOutput, DensePoseChartPredictorOutputWithConfidences
from .chart_results import (
    DensePoseChartResult,
    DensePoseChartResultCompressed,
    DensePoseChartResultQuantized,
    DensePoseChartResultWithConfidences,
    IntBox,
    box_masks,
    chart_results,
    compress_chart_result,
    decompress_chart_result,
    hflip_chart_output,
    make_int_box,
    output_to_masks,
    paste_box_masks,
    quantize_chart_result,
    resize_maps,
)
from .cse_outputs import (
    DensePoseEmbeddingPredictorOutput,
    DensePoseEmbeddingPredictorOutputWithConfidences,
)
from .moving import transform_densepose
from .predictor_output import PredictorOutput
from .symmetry import DensePoseFileError, DensePoseTransformData

__all__ = [
    "MESH_NAMES",
    "DensePoseChartPredictorOutput",
    "DensePoseChartPredictorOutputWithConfidences",
    "DensePoseChartResult",
    "DensePoseChartResultCompressed",
    "DensePoseChartResultQuantized",
    "DensePoseChartResultWithConfidences",
    "DensePoseDataRelative",
    "DensePoseEmbeddingPredictorOutput",
    "DensePoseEmbeddingPredictorOutputWithConfidences",
    "DensePoseFileError",
    "DensePoseList",
    "DensePoseTransformData",
    "IntBox",
    "PredictorOutput",
    "box_masks",
    "chart_results",
    "compress_chart_result",
    "decompress_chart_result",
    "hflip_chart_output",
    "make_int_box",
    "output_to_masks",
    "paste_box_masks",
    "quantize_chart_result",
    "resize_maps",
    "transform_densepose",
]
