"""Predicts parts and chart coordinates (arXiv:1802.00434)."""

import torch.nn.functional as F
from torch import Tensor, nn

from lazycfg.layers import c2_msra_fill

from ...structures.chart_outputs import DensePoseChartPredictorOutput

__all__ = ["DensePoseChartPredictor", "UpsamplingPredictor"]


class UpsamplingPredictor(nn.Module):
    """Base of the predictors: each map is a transposed convolution of stride 2, then upsampled.

    Args:
        input_channels: of the head's features.
        deconv_kernel: side of the transposed convolutions, even.
        up_scale: factor of the upsampling.
    """

    def __init__(self, input_channels: int, *, deconv_kernel: int = 4, up_scale: int = 2) -> None:
        super().__init__()
        if deconv_kernel % 2 or deconv_kernel < 2:
            raise ValueError(f"{type(self).__name__}: deconv_kernel must be even, got {deconv_kernel}")
        self.input_channels = input_channels
        self.deconv_kernel = deconv_kernel
        self.scale_factor = up_scale

    def make_map(self, channels: int) -> nn.ConvTranspose2d:
        """Return a layer for a map of so many channels at half the resolution."""
        kernel = self.deconv_kernel
        layer = nn.ConvTranspose2d(self.input_channels, channels, kernel, stride=2, padding=kernel // 2 - 1)
        c2_msra_fill(layer)
        return layer

    def interp2d(self, x: Tensor) -> Tensor:
        """(R, C, H, W) -> (R, C, H * up_scale, W * up_scale), bilinear."""
        return F.interpolate(x, scale_factor=self.scale_factor, mode="bilinear", align_corners=False)


class DensePoseChartPredictor(UpsamplingPredictor):
    """Coarse segmentation, parts, and two coordinates in the chart of each part.

    Args:
        input_channels: of the head's features.
        num_coarse_segm_channels: 2 for background and object, 15 for background and 14 coarse parts.
        num_patches: parts with a chart each.
        deconv_kernel, up_scale: see `UpsamplingPredictor`.
    """

    def __init__(
        self,
        input_channels: int,
        *,
        num_coarse_segm_channels: int = 2,
        num_patches: int = 24,
        deconv_kernel: int = 4,
        up_scale: int = 2,
    ) -> None:
        super().__init__(input_channels, deconv_kernel=deconv_kernel, up_scale=up_scale)
        self.ann_index_lowres = self.make_map(num_coarse_segm_channels)
        self.index_uv_lowres = self.make_map(num_patches + 1)
        self.u_lowres = self.make_map(num_patches + 1)
        self.v_lowres = self.make_map(num_patches + 1)

    def maps(self, head_outputs: Tensor) -> dict[str, Tensor]:
        """Return the maps (R, C, S, S) by their names in the output."""
        return {
            "coarse_segm": self.interp2d(self.ann_index_lowres(head_outputs)),
            "fine_segm": self.interp2d(self.index_uv_lowres(head_outputs)),
            "u": self.interp2d(self.u_lowres(head_outputs)),
            "v": self.interp2d(self.v_lowres(head_outputs)),
        }

    def forward(self, head_outputs: Tensor) -> DensePoseChartPredictorOutput:
        """Features (R, input_channels, H, W) -> maps of side 2 * up_scale * H."""
        return DensePoseChartPredictorOutput(**self.maps(head_outputs))
