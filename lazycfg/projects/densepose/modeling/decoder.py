"""Brings the levels of a pyramid to one map before regions are pooled."""

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from lazycfg.layers import ShapeSpec
from lazycfg.modeling.meta_arch.sem_seg_head import PyramidDecoder

__all__ = ["Decoder"]


class Decoder(PyramidDecoder):
    """Adds up the levels of a pyramid at one stride, as Panoptic FPN does (arXiv:1901.02446, section 3.1).

    Args:
        input_shape: the levels used, by name, with their channels and strides.
        num_classes: channels of the result.
        conv_dims: channels inside.
        norm: of the convolutions, as `get_norm` takes it.
        common_stride: the stride, in pixels, of the result.
    """

    def __init__(
        self,
        *,
        input_shape: Mapping[str, ShapeSpec],
        num_classes: int = 256,
        conv_dims: int = 256,
        norm: str | Callable[[int], nn.Module] | None = "",
        common_stride: int = 4,
    ) -> None:
        super().__init__(
            input_shape=input_shape,
            out_channels=num_classes,
            conv_dims=conv_dims,
            common_stride=common_stride,
            norm=norm,
        )

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        """Maps by name -> (N, num_classes, H / common_stride, W / common_stride)."""
        return self.layers(features)
