"""What every backbone is: images to maps by name, whose shapes are known before."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from lazycfg.layers import ShapeSpec


class Backbone(nn.Module, ABC):
    """Base of the networks that turn images into feature maps.

    A subclass sets `_out_features` (names), `_out_feature_channels` and `_out_feature_strides` (by name),
    or overrides `output_shape`.
    """

    _out_features: list[str]
    _out_feature_channels: dict[str, int]
    _out_feature_strides: dict[str, int]

    @abstractmethod
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Images (N, C, H, W) -> feature maps by name, each (N, channels, H / stride, W / stride)."""

    @property
    def size_divisibility(self) -> int:
        """Height and width of the input must be multiples of this; 0 when any size will do."""
        return 0

    @property
    def padding_constraints(self) -> dict[str, int]:
        """Other wishes about padding: "size_divisibility" and "square_size" (a fixed side in pixels)."""
        return {}

    def output_shape(self) -> dict[str, ShapeSpec]:
        """Channels and stride of each feature map that `forward` returns."""
        return {
            name: ShapeSpec(channels=self._out_feature_channels[name], stride=self._out_feature_strides[name])
            for name in self._out_features
        }
