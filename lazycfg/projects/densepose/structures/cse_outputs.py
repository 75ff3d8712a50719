"""What the embedding predictors say of objects: which place of a surface is seen where."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .predictor_output import PredictorOutput

__all__ = ["DensePoseEmbeddingPredictorOutput", "DensePoseEmbeddingPredictorOutputWithConfidences"]


@dataclass(kw_only=True)
class DensePoseEmbeddingPredictorOutput(PredictorOutput):
    """Maps over the boxes of N objects.

    Attributes:
        embedding: (N, D, H, W), of the surface seen at each place: near the embedding of its vertex.
        coarse_segm: (N, C, H, W) logits; channel 0 is the background.
    """

    embedding: Tensor
    coarse_segm: Tensor


@dataclass(kw_only=True)
class DensePoseEmbeddingPredictorOutputWithConfidences(DensePoseEmbeddingPredictorOutput):
    """And how sure the predictor is.

    Attributes:
        coarse_segm_confidence: (N, 1, H, W), positive: what the logits of the segmentation were multiplied
            by; None if the predictor is not asked for it.
    """

    coarse_segm_confidence: Tensor | None = None
