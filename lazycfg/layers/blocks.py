"""Small building blocks of convolutional networks."""

from collections.abc import Callable
from typing import Self

from torch import Tensor, nn

from .batch_norm import FrozenBatchNorm2d, Norm, get_norm
from .weight_init import c2_msra_fill
from .wrappers import Conv2d


class CNNBlockBase(nn.Module):
    """Base of blocks with one input and one output feature map, (N, Cin, H, W) -> (N, Cout, H/s, W/s).

    Args:
        in_channels, out_channels: channels of the input and the output.
        stride: s above.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.stride = stride

    def freeze(self) -> Self:
        """Stop training of the parameters; batch normalisations become frozen ones. Returns the block."""
        for p in self.parameters():
            p.requires_grad = False
        FrozenBatchNorm2d.convert_frozen_batchnorm(self)
        return self


class DepthwiseSeparableConv2d(nn.Module):
    """A k x k convolution of each channel, then a 1 x 1 convolution (Xception, arXiv:1610.02357).

    Args:
        norm1, activation1: after the depthwise part; norm2, activation2: after the pointwise part.
        A norm is a name or a callable as `get_norm` takes it.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        padding: int = 1,
        dilation: int = 1,
        *,
        norm1: Norm = None,
        activation1: Callable[[Tensor], Tensor] | None = None,
        norm2: Norm = None,
        activation2: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.depthwise = Conv2d(
            in_channels,
            in_channels,
            kernel_size=kernel_size,
            padding=padding,
            dilation=dilation,
            groups=in_channels,
            bias=not norm1,
            norm=get_norm(norm1, in_channels),
            activation=activation1,
        )
        self.pointwise = Conv2d(
            in_channels,
            out_channels,
            kernel_size=1,
            bias=not norm2,
            norm=get_norm(norm2, out_channels),
            activation=activation2,
        )
        c2_msra_fill(self.depthwise)
        c2_msra_fill(self.pointwise)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H', W')."""
        return self.pointwise(self.depthwise(x))
