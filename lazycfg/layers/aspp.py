"""Atrous spatial pyramid pooling (DeepLab v3, arXiv:1706.05587)."""

import copy
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .batch_norm import Norm, get_norm
from .blocks import DepthwiseSeparableConv2d
from .weight_init import c2_xavier_fill
from .wrappers import Conv2d

__all__ = ["ASPP"]


class ASPP(nn.Module):
    """Parallel convolutions of different dilation and a pooled branch, concatenated and projected.

    Args:
        in_channels, out_channels: channels of the input, and of each branch and the output.
        dilations: of the three 3x3 convolutions.
        norm: as `get_norm` takes it.
        activation: applied after each layer; each has a copy of its own, with its own parameters.
        pool_kernel_size: (height, width) of the average pooling of the last branch; the whole map if None.
        dropout: probability for the output.
        use_depthwise_separable_conv: for the three dilated convolutions.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        dilations: Sequence[int],
        *,
        norm: Norm,
        activation: Callable[[Tensor], Tensor],
        pool_kernel_size: tuple[int, int] | None = None,
        dropout: float = 0.0,
        use_depthwise_separable_conv: bool = False,
    ) -> None:
        super().__init__()
        if len(dilations) != 3:
            raise ValueError(f"ASPP takes 3 dilations, got {list(dilations)}")
        self.pool_kernel_size = pool_kernel_size
        self.dropout = dropout
        use_bias = norm == ""

        def branch(kernel_size: int, dilation: int = 1, channels: int = in_channels) -> Conv2d:
            conv = Conv2d(
                channels,
                out_channels,
                kernel_size=kernel_size,
                padding=0 if kernel_size == 1 else dilation,
                dilation=dilation,
                bias=use_bias,
                norm=get_norm(norm, out_channels),
                activation=copy.deepcopy(activation),
            )
            c2_xavier_fill(conv)
            return conv

        self.convs = nn.ModuleList([branch(1)])
        for dilation in dilations:
            if use_depthwise_separable_conv:
                self.convs.append(
                    DepthwiseSeparableConv2d(
                        in_channels,
                        out_channels,
                        kernel_size=3,
                        padding=dilation,
                        dilation=dilation,
                        norm1=norm,
                        activation1=copy.deepcopy(activation),
                        norm2=norm,
                        activation2=copy.deepcopy(activation),
                    )
                )
            else:
                self.convs.append(branch(3, dilation))
        pooling = nn.AdaptiveAvgPool2d(1)
        if pool_kernel_size is not None:
            pooling = nn.AvgPool2d(kernel_size=pool_kernel_size, stride=1)
        # One value per channel cannot be normalised over a batch of one: this branch has no norm.
        pooled = Conv2d(in_channels, out_channels, 1, bias=True, activation=copy.deepcopy(activation))
        c2_xavier_fill(pooled)
        self.convs.append(nn.Sequential(pooling, pooled))
        self.project = branch(1, channels=5 * out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) -> (N, out_channels, H, W).

        Raises:
            ValueError: `pool_kernel_size` does not divide the map.
        """
        size = x.shape[-2:]
        kernel = self.pool_kernel_size
        if kernel is not None and (size[0] % kernel[0] or size[1] % kernel[1]):
            raise ValueError(
                f"ASPP: pool_kernel_size {kernel} does not divide a map of {tuple(size)}; give images of "
                "another size, or pool over the whole map: pool_kernel_size=None (of the heads of DeepLab: "
                "train_size=None)"
            )
        branches = [conv(x) for conv in self.convs]
        branches[-1] = F.interpolate(branches[-1], size=size, mode="bilinear", align_corners=False)
        out = self.project(torch.cat(branches, dim=1))
        return F.dropout(out, self.dropout, training=self.training) if self.dropout > 0 else out
