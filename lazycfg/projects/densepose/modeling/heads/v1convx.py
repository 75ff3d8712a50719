"""The head of stacked convolutions."""

import torch.nn.functional as F
from torch import Tensor, nn

from lazycfg.layers import Conv2d, c2_msra_fill, get_norm
from lazycfg.layers.batch_norm import Norm

__all__ = ["DensePoseV1ConvXHead", "StackedConvs"]


class StackedConvs(nn.Module):
    """Convolutions that keep the size of a region, each with ReLU.

    Args:
        input_channels: of the pooled regions.
        conv_head_dim: channels of the convolutions.
        conv_head_kernel: their side, odd.
        num_stacked_convs: how many there are.
        norm: after each, as `get_norm` takes it; without one they have a bias.
    """

    def __init__(
        self,
        input_channels: int,
        *,
        conv_head_dim: int = 512,
        conv_head_kernel: int = 3,
        num_stacked_convs: int = 8,
        norm: Norm = "",
    ) -> None:
        super().__init__()
        if conv_head_kernel % 2 == 0:
            raise ValueError(f"{type(self).__name__}: conv_head_kernel must be odd, got {conv_head_kernel}")
        self.n_stacked_convs = num_stacked_convs
        self.convs: list[nn.Module] = []
        for k in range(num_stacked_convs):
            conv = Conv2d(
                conv_head_dim if k else input_channels,
                conv_head_dim,
                kernel_size=conv_head_kernel,
                padding=conv_head_kernel // 2,
                bias=not norm,
                norm=get_norm(norm, conv_head_dim),
                activation=F.relu,
            )
            c2_msra_fill(conv)
            self.add_module(f"body_conv_fcn{k + 1}", conv)
            self.convs.append(conv)
        self.n_out_channels = conv_head_dim if num_stacked_convs else input_channels

    def forward(self, x: Tensor) -> Tensor:
        """(R, input_channels, H, W) -> (R, n_out_channels, H, W)."""
        for conv in self.convs:
            x = conv(x)
        return x


class DensePoseV1ConvXHead(StackedConvs):
    """Eight convolutions, as in the first DensePose (arXiv:1802.00434)."""

    def __init__(
        self,
        input_channels: int,
        *,
        conv_head_dim: int = 512,
        conv_head_kernel: int = 3,
        num_stacked_convs: int = 8,
    ) -> None:
        super().__init__(
            input_channels,
            conv_head_dim=conv_head_dim,
            conv_head_kernel=conv_head_kernel,
            num_stacked_convs=num_stacked_convs,
        )
