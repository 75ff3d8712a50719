"""A backbone of one convolution: the least that a detector can stand on."""

from torch import Tensor, nn

from lazycfg.layers import ShapeSpec
from lazycfg.modeling import Backbone

__all__ = ["ToyBackbone"]


class ToyBackbone(Backbone):
    """One strided convolution.  Its feature map is called ``"conv1"``.

    Args:
        in_channels: channels of the image, 3 for colour.
        out_channels: channels of the feature map.
        stride: pixels of the image for one pixel of the feature map.
    """

    def __init__(self, *, in_channels: int = 3, out_channels: int = 64, stride: int = 16) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(
            in_channels, out_channels, kernel_size=stride + 1, stride=stride, padding=stride // 2
        )
        self.stride = stride

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """``image`` (N, in_channels, H, W) to ``{"conv1": (N, out_channels, H / stride, W / stride)}``."""
        return {"conv1": self.conv1(image).relu()}

    def output_shape(self) -> dict[str, ShapeSpec]:
        """Return channels and stride of the map."""
        return {"conv1": ShapeSpec(channels=self.conv1.out_channels, stride=self.stride)}

    @property
    def size_divisibility(self) -> int:
        """Return the number of pixels that the sides of images must be multiples of."""
        return self.stride
