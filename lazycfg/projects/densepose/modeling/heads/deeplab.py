"""The head that looks at a region at several scales at once (Parsing R-CNN, arXiv:1811.12596)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lazycfg.layers.batch_norm import Norm

from .v1convx import StackedConvs

__all__ = ["DensePoseDeepLabHead", "NonLocalBlock", "RegionASPP"]

GROUPS = 32


class DensePoseDeepLabHead(StackedConvs):
    """Atrous spatial pyramid pooling, optionally a non-local block, then stacked convolutions.

    Args:
        input_channels: of the pooled regions.
        conv_head_dim, conv_head_kernel, num_stacked_convs, norm: of the convolutions; see `StackedConvs`.
        nonlocal_on: whether each place looks at all others of its region.
        dilations: of the three convolutions of the pyramid.
    """

    def __init__(
        self,
        input_channels: int,
        *,
        conv_head_dim: int = 512,
        conv_head_kernel: int = 3,
        num_stacked_convs: int = 8,
        norm: Norm = "GN",
        nonlocal_on: bool = False,
        dilations: Sequence[int] = (6, 12, 56),
    ) -> None:
        super().__init__(
            input_channels,
            conv_head_dim=conv_head_dim,
            conv_head_kernel=conv_head_kernel,
            num_stacked_convs=num_stacked_convs,
            norm=norm,
        )
        self.use_nonlocal = bool(nonlocal_on)
        self.ASPP = RegionASPP(input_channels, input_channels, dilations)
        if self.use_nonlocal:
            self.NLBlock = NonLocalBlock(input_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map features (R, C, H, W) of regions to (R, hidden_dim, H, W)."""
        x = self.ASPP(x)
        if self.use_nonlocal:
            x = self.NLBlock(x)
        return super().forward(x)


class RegionASPP(nn.Module):
    """Parallel convolutions of different dilation and a pooled branch, concatenated and projected.

    Unlike `lazycfg.layers.ASPP` every branch is normalised in groups, also the pooled one, and the projection
    is not.

    Args:
        in_channels, out_channels: of the input, and of each branch and the output; a multiple of 32.
        dilations: of the 3x3 convolutions.
    """

    def __init__(self, in_channels: int, out_channels: int, dilations: Sequence[int]) -> None:
        super().__init__()
        if out_channels % GROUPS:
            raise ValueError(f"RegionASPP normalises in {GROUPS} groups: {out_channels} channels do not fit")

        def branch(*first: nn.Module, kernel_size: int = 1, dilation: int = 1) -> nn.Sequential:
            padding = 0 if kernel_size == 1 else dilation
            conv = nn.Conv2d(
                in_channels, out_channels, kernel_size, padding=padding, dilation=dilation, bias=False
            )
            return nn.Sequential(*first, conv, nn.GroupNorm(GROUPS, out_channels), nn.ReLU())

        self.convs = nn.ModuleList(
            [
                branch(),
                *(branch(kernel_size=3, dilation=dilation) for dilation in dilations),
                branch(nn.AdaptiveAvgPool2d(1)),
            ]
        )
        self.project = nn.Sequential(
            nn.Conv2d(len(self.convs) * out_channels, out_channels, 1, bias=False), nn.ReLU()
        )

    def forward(self, x: Tensor) -> Tensor:
        """(R, in_channels, H, W) -> (R, out_channels, H, W)."""
        branches = [conv(x) for conv in self.convs]
        branches[-1] = branches[-1].expand_as(branches[0])  # one value, wherever it is looked at
        return self.project(torch.cat(branches, dim=1))


class NonLocalBlock(nn.Module):
    """Adds to each place what all places show, weighted by how alike they are (arXiv:1711.07971).

    It changes nothing at first: the last normalisation starts at zero.

    Args:
        channels: of input and output, a multiple of 32.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 2
        self.g = nn.Sequential(nn.Conv2d(channels, inner, 1), nn.MaxPool2d(2))
        self.theta = nn.Conv2d(channels, inner, 1)
        self.phi = nn.Sequential(nn.Conv2d(channels, inner, 1), nn.MaxPool2d(2))
        self.W = nn.Sequential(nn.Conv2d(inner, channels, 1), nn.GroupNorm(GROUPS, channels))
        nn.init.zeros_(self.W[1].weight)
        nn.init.zeros_(self.W[1].bias)

    def forward(self, x: Tensor) -> Tensor:
        """(R, C, H, W) -> the same; H and W at least 2."""
        query, key, value = (f(x).flatten(2).transpose(1, 2) for f in (self.theta, self.phi, self.g))
        seen = F.scaled_dot_product_attention(query, key, value, scale=1.0)
        return x + self.W(seen.transpose(1, 2).unflatten(2, x.shape[2:]))
