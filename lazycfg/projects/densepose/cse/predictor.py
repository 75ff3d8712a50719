"""Predicts embeddings of the surface that is seen (arXiv:2011.12438)."""

from torch import Tensor

from ..modeling.confidence import DensePoseConfidenceModelConfig, weigh_segmentation
from ..modeling.predictors.chart import UpsamplingPredictor
from ..structures.cse_outputs import (
    DensePoseEmbeddingPredictorOutput,
    DensePoseEmbeddingPredictorOutputWithConfidences,
)

__all__ = ["DensePoseEmbeddingPredictor", "DensePoseEmbeddingWithConfidencePredictor"]


class DensePoseEmbeddingPredictor(UpsamplingPredictor):
    """Coarse segmentation, and an embedding of the surface at each place.

    Args:
        input_channels: of the head's features.
        embed_size: dimensions of the embeddings, as those of the vertices.
        num_coarse_segm_channels: of the segmentation; channel 0 is the background.
        deconv_kernel, up_scale: see `UpsamplingPredictor`.
    """

    def __init__(
        self,
        input_channels: int,
        *,
        embed_size: int = 16,
        num_coarse_segm_channels: int = 2,
        deconv_kernel: int = 4,
        up_scale: int = 2,
    ) -> None:
        super().__init__(input_channels, deconv_kernel=deconv_kernel, up_scale=up_scale)
        self.coarse_segm_lowres = self.make_map(num_coarse_segm_channels)
        self.embed_lowres = self.make_map(embed_size)

    def maps(self, head_outputs: Tensor) -> dict[str, Tensor]:
        """Return the maps (R, C, S, S) by their names in the output."""
        return {
            "embedding": self.interp2d(self.embed_lowres(head_outputs)),
            "coarse_segm": self.interp2d(self.coarse_segm_lowres(head_outputs)),
        }

    def forward(self, head_outputs: Tensor) -> DensePoseEmbeddingPredictorOutput:
        """Features (R, input_channels, H, W) -> maps of side 2 * up_scale * H."""
        return DensePoseEmbeddingPredictorOutput(**self.maps(head_outputs))


class DensePoseEmbeddingWithConfidencePredictor(DensePoseEmbeddingPredictor):
    """A predictor of embeddings that can also say how sure it is of the segmentation.

    Args:
        input_channels, embed_size, num_coarse_segm_channels, deconv_kernel, up_scale: see
            `DensePoseEmbeddingPredictor`.
        confidence_model_cfg: of it, only the confidence of the segmentation is used; none by default.
    """

    def __init__(
        self,
        input_channels: int,
        *,
        embed_size: int = 16,
        num_coarse_segm_channels: int = 2,
        deconv_kernel: int = 4,
        up_scale: int = 2,
        confidence_model_cfg: DensePoseConfidenceModelConfig | None = None,
    ) -> None:
        super().__init__(
            input_channels,
            embed_size=embed_size,
            num_coarse_segm_channels=num_coarse_segm_channels,
            deconv_kernel=deconv_kernel,
            up_scale=up_scale,
        )
        self.confidence_model_cfg = confidence_model_cfg or DensePoseConfidenceModelConfig()
        if self.confidence_model_cfg.uv_confidence.enabled:
            raise ValueError(
                "DensePoseEmbeddingWithConfidencePredictor predicts no charts, so there is no confidence of "
                "them: confidence_model_cfg.uv_confidence.enabled=False"
            )
        if self.confidence_model_cfg.segm_confidence.enabled:
            self.coarse_segm_confidence_lowres = self.make_map(1)

    def forward(self, head_outputs: Tensor) -> DensePoseEmbeddingPredictorOutputWithConfidences:
        """Map features (R, C, H, W) to embeddings (R, D, S, S) and their confidences."""
        maps = self.maps(head_outputs)
        segm = self.confidence_model_cfg.segm_confidence
        if segm.enabled:
            raw = self.interp2d(self.coarse_segm_confidence_lowres(head_outputs))
            weigh_segmentation(maps, "coarse_segm", raw, segm)
        return DensePoseEmbeddingPredictorOutputWithConfidences(**maps)
