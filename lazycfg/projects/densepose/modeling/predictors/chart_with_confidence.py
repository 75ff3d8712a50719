"""Predicts parts and chart coordinates, and how sure it is of them (arXiv:1909.11526, arXiv:2003.00080)."""

from torch import Tensor

from ...structures.chart_outputs import DensePoseChartPredictorOutputWithConfidences
from ..confidence import DensePoseConfidenceModelConfig, DensePoseUVConfidenceType, weigh_segmentation
from .chart import DensePoseChartPredictor

__all__ = ["DensePoseChartWithConfidencePredictor"]


class DensePoseChartWithConfidencePredictor(DensePoseChartPredictor):
    """A chart predictor with further maps for the confidences that are enabled.

    Args:
        input_channels, num_coarse_segm_channels, num_patches, deconv_kernel, up_scale: see
            `DensePoseChartPredictor`.
        confidence_model_cfg: which confidences; none by default.
    """

    def __init__(
        self,
        input_channels: int,
        *,
        num_coarse_segm_channels: int = 2,
        num_patches: int = 24,
        deconv_kernel: int = 4,
        up_scale: int = 2,
        confidence_model_cfg: DensePoseConfidenceModelConfig | None = None,
    ) -> None:
        super().__init__(
            input_channels,
            num_coarse_segm_channels=num_coarse_segm_channels,
            num_patches=num_patches,
            deconv_kernel=deconv_kernel,
            up_scale=up_scale,
        )
        self.confidence_model_cfg = confidence_model_cfg or DensePoseConfidenceModelConfig()
        uv, segm = self.confidence_model_cfg.uv_confidence, self.confidence_model_cfg.segm_confidence
        self.uv_maps: list[str] = []
        if uv.enabled:
            directed = uv.type is DensePoseUVConfidenceType.INDEP_ANISO
            self.uv_maps = ["sigma_2", "kappa_u", "kappa_v"] if directed else ["sigma_2"]
        for name in self.uv_maps:
            self.add_module(f"{name}_lowres", self.make_map(num_patches + 1))
        self.segm_maps = ["fine_segm", "coarse_segm"] if segm.enabled else []
        for name in self.segm_maps:
            self.add_module(f"{name}_confidence_lowres", self.make_map(1))

    def forward(self, head_outputs: Tensor) -> DensePoseChartPredictorOutputWithConfidences:
        """Map features (R, C, H, W) to the charts (R, channels, S, S) and their confidences."""
        maps = self.maps(head_outputs)
        for name in self.uv_maps:
            maps[name] = self.interp2d(self.get_submodule(f"{name}_lowres")(head_outputs))
        for name in self.segm_maps:
            raw = self.interp2d(self.get_submodule(f"{name}_confidence_lowres")(head_outputs))
            weigh_segmentation(maps, name, raw, self.confidence_model_cfg.segm_confidence)
        return DensePoseChartPredictorOutputWithConfidences(**maps)
