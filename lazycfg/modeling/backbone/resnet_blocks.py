"""The stems and residual blocks of ResNet (He et al., arXiv:1512.03385)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lazycfg.layers import CNNBlockBase, Conv2d, DeformConv, ModulatedDeformConv, c2_msra_fill, get_norm
from lazycfg.layers.batch_norm import Norm


def conv_norm(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    norm: Norm,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
    conv_class: type[nn.Module] = Conv2d,
    **options: Any,
) -> nn.Module:
    """Return a convolution without bias, padded so that only its stride changes the size, and its norm.

    Args:
        norm: as `get_norm` takes it.
        conv_class: takes a `norm`, as `Conv2d` does; options: for it.
    """
    conv = conv_class(
        in_channels,
        out_channels,
        kernel_size=kernel_size,
        stride=stride,
        padding=dilation * (kernel_size // 2),
        dilation=dilation,
        groups=groups,
        bias=False,
        norm=get_norm(norm, out_channels),
        **options,
    )
    c2_msra_fill(conv)
    return conv


class BasicStem(CNNBlockBase):
    """A 7x7 convolution of stride 2 and a 3x3 max pooling of stride 2.

    Args:
        in_channels, out_channels: channels of the image and of the output (stride 4).
        norm: as `get_norm` takes it.
    """

    def __init__(self, in_channels: int = 3, out_channels: int = 64, norm: Norm = "BN") -> None:
        super().__init__(in_channels, out_channels, 4)
        self.conv1 = conv_norm(in_channels, out_channels, 7, stride=2, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to (N, out_channels, H / 4, W / 4)."""
        return F.max_pool2d(F.relu_(self.conv1(x)), kernel_size=3, stride=2, padding=1)


class DeepLabStem(CNNBlockBase):
    """Three 3x3 convolutions, the first of stride 2, and a 3x3 max pooling of stride 2: the stem of DeepLab's
    "R-52" and "R-103".

    Args:
        in_channels, out_channels: channels of the image and of the output (stride 4).
        norm: as `get_norm` takes it.
    """

    def __init__(self, in_channels: int = 3, out_channels: int = 128, norm: Norm = "BN") -> None:
        super().__init__(in_channels, out_channels, 4)
        self.conv1 = conv_norm(in_channels, out_channels // 2, 3, stride=2, norm=norm)
        self.conv2 = conv_norm(out_channels // 2, out_channels // 2, 3, norm=norm)
        self.conv3 = conv_norm(out_channels // 2, out_channels, 3, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W) to (N, out_channels, H / 4, W / 4)."""
        for conv in (self.conv1, self.conv2, self.conv3):
            x = F.relu_(conv(x))
        return F.max_pool2d(x, kernel_size=3, stride=2, padding=1)


class ResidualBlock(CNNBlockBase):
    """relu(residual(x) + shortcut(x)); a subclass gives `residual`.

    Args:
        stride: of the block; with unequal channels the shortcut becomes a 1x1 convolution of this stride.
        norm: of the shortcut.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int, norm: Norm) -> None:
        super().__init__(in_channels, out_channels, stride)
        self.shortcut: nn.Module | None = None
        if in_channels != out_channels:
            self.shortcut = conv_norm(in_channels, out_channels, 1, stride=stride, norm=norm)

    def residual(self, x: Tensor) -> Tensor:
        """Map (N, Cin, H, W) to (N, Cout, H / stride, W / stride), before the sum.

        Raises:
            NotImplementedError: a subclass has to do this.
        """
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, Cin, H, W) to (N, Cout, H / stride, W / stride): the sum of residual and shortcut,
        rectified.
        """
        out = self.residual(x)
        out += x if self.shortcut is None else self.shortcut(x)
        return F.relu_(out)


class BasicBlock(ResidualBlock):
    """Two 3x3 convolutions, the block of ResNet-18 and ResNet-34.

    Args:
        stride: of the first convolution.
        norm: of all convolutions, as `get_norm` takes it.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1, norm: Norm = "BN") -> None:
        super().__init__(in_channels, out_channels, stride=stride, norm=norm)
        self.conv1 = conv_norm(in_channels, out_channels, 3, stride=stride, norm=norm)
        self.conv2 = conv_norm(out_channels, out_channels, 3, norm=norm)

    def residual(self, x: Tensor) -> Tensor:
        """Map (N, Cin, H, W) to (N, Cout, H / stride, W / stride), before the sum."""
        return self.conv2(F.relu_(self.conv1(x)))


class BottleneckBlock(ResidualBlock):
    """1x1, 3x3 and 1x1 convolutions, the block of ResNet-50, 101, 152 and of ResNeXt.

    Args:
        bottleneck_channels: output channels of the 3x3 convolution.
        stride: of the 1x1 convolution if `stride_in_1x1` (the original, and Caffe2's weights), else of
            the 3x3 one (torchvision's weights).
        num_groups: groups of the 3x3 convolution.
        norm: of all convolutions, as `get_norm` takes it.
        dilation: of the 3x3 convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        bottleneck_channels: int,
        stride: int = 1,
        num_groups: int = 1,
        norm: Norm = "BN",
        stride_in_1x1: bool = False,
        dilation: int = 1,
    ) -> None:
        super().__init__(in_channels, out_channels, stride=stride, norm=norm)
        width = bottleneck_channels
        stride_1x1, stride_3x3 = (stride, 1) if stride_in_1x1 else (1, stride)
        self.conv1 = conv_norm(in_channels, width, 1, stride=stride_1x1, norm=norm)
        self.conv2 = conv_norm(
            width, width, 3, stride=stride_3x3, dilation=dilation, groups=num_groups, norm=norm
        )
        self.conv3 = conv_norm(width, out_channels, 1, norm=norm)

    def residual(self, x: Tensor) -> Tensor:
        """Map (N, Cin, H, W) to (N, Cout, H / stride, W / stride), before the sum."""
        x = F.relu_(self.conv1(x))
        x = F.relu_(self.conv2(x))
        return self.conv3(x)


class DeformBottleneckBlock(ResidualBlock):
    """`BottleneckBlock` whose 3x3 convolution is deformable (arXiv:1703.06211).

    Args:
        deform_modulated: weigh the sampling points too (arXiv:1811.11168).
        deform_num_groups: groups of channels with offsets of their own.
        The others are those of `BottleneckBlock`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        bottleneck_channels: int,
        stride: int = 1,
        num_groups: int = 1,
        norm: Norm = "BN",
        stride_in_1x1: bool = False,
        dilation: int = 1,
        deform_modulated: bool = False,
        deform_num_groups: int = 1,
    ) -> None:
        super().__init__(in_channels, out_channels, stride=stride, norm=norm)
        self.deform_modulated = deform_modulated
        width = bottleneck_channels
        stride_1x1, stride_3x3 = (stride, 1) if stride_in_1x1 else (1, stride)
        self.conv1 = conv_norm(in_channels, width, 1, stride=stride_1x1, norm=norm)
        # (dy, dx), and a weight if modulated, for each of the 9 points
        self.conv2_offset = Conv2d(
            width,
            (27 if deform_modulated else 18) * deform_num_groups,
            kernel_size=3,
            stride=stride_3x3,
            padding=dilation,
            dilation=dilation,
        )
        nn.init.zeros_(self.conv2_offset.weight)
        nn.init.zeros_(self.conv2_offset.bias)
        self.conv2 = conv_norm(
            width,
            width,
            3,
            stride=stride_3x3,
            dilation=dilation,
            groups=num_groups,
            norm=norm,
            conv_class=ModulatedDeformConv if deform_modulated else DeformConv,
            deformable_groups=deform_num_groups,
        )
        self.conv3 = conv_norm(width, out_channels, 1, norm=norm)

    def residual(self, x: Tensor) -> Tensor:
        """Map (N, Cin, H, W) to (N, Cout, H / stride, W / stride), before the sum."""
        x = F.relu_(self.conv1(x))
        offset = self.conv2_offset(x)
        if self.deform_modulated:
            first, second, weight = offset.chunk(3, dim=1)
            x = self.conv2(x, torch.cat((first, second), dim=1), weight.sigmoid())
        else:
            x = self.conv2(x, offset)
        return self.conv3(F.relu_(x))
