"""What the chart predictors say of objects: parts, and coordinates in the chart of each."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .predictor_output import PredictorOutput

__all__ = ["DensePoseChartPredictorOutput", "DensePoseChartPredictorOutputWithConfidences"]


@dataclass(kw_only=True)
class DensePoseChartPredictorOutput(PredictorOutput):
    """Maps over the boxes of N objects.

    Attributes:
        coarse_segm: (N, D, H, W) logits: background and object, or background and 14 coarse parts.
        fine_segm: (N, C, H, W) logits of the background and of C - 1 parts with a chart each.
        u, v: (N, C, H, W), coordinates in the chart of each part, 0 to 1; those of channel 0 mean nothing.
    """

    coarse_segm: Tensor
    fine_segm: Tensor
    u: Tensor
    v: Tensor


@dataclass(kw_only=True)
class DensePoseChartPredictorOutputWithConfidences(DensePoseChartPredictorOutput):
    """And how sure the predictor is; None for what it is not asked about.

    Attributes:
        sigma_1: always None.
        sigma_2: (N, C, H, W); softplus of it, plus a lower bound, is the variance of (u, v).
        kappa_u, kappa_v: (N, C, H, W), the direction in which they vary more.
        fine_segm_confidence, coarse_segm_confidence: (N, 1, H, W), positive: what the logits of parts, and
            of the coarse segmentation, were multiplied by.
    """

    sigma_1: Tensor | None = None
    sigma_2: Tensor | None = None
    kappa_u: Tensor | None = None
    kappa_v: Tensor | None = None
    fine_segm_confidence: Tensor | None = None
    coarse_segm_confidence: Tensor | None = None
