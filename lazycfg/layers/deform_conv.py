"""Deformable convolutions (arXiv:1703.06211, 1811.11168), by torchvision's operator."""

import math
from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn.modules.utils import _pair
from torchvision.ops import deform_conv2d

__all__ = ["DeformConv", "ModulatedDeformConv"]

Size2 = int | tuple[int, int]


class DeformConv(nn.Module):
    """A convolution whose sampling points are moved by offsets that another layer predicts.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups: as for `torch.nn.Conv2d`.
        deformable_groups: groups of input channels with offsets of their own.
        bias: whether there is one; by default, and at most, in `ModulatedDeformConv`.
        norm, activation: applied in this order to the result.
    """

    modulated = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size2,
        stride: Size2 = 1,
        padding: Size2 = 0,
        dilation: Size2 = 1,
        groups: int = 1,
        deformable_groups: int = 1,
        bias: bool | None = None,
        *,
        norm: nn.Module | None = None,
        activation: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        bias = self.modulated if bias is None else bias
        if bias and not self.modulated:
            raise ValueError("DeformConv has no bias: use ModulatedDeformConv, or a norm")
        if in_channels % groups or out_channels % groups:
            raise ValueError(f"{in_channels} and {out_channels} channels do not divide into {groups} groups")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = _pair(kernel_size)
        self.stride = _pair(stride)
        self.padding = _pair(padding)
        self.dilation = _pair(dilation)
        self.groups = groups
        self.deformable_groups = deformable_groups
        self.norm = norm
        self.activation = activation
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups, *self.kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        bound = 1.0 / math.sqrt(in_channels * math.prod(self.kernel_size))
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, x: Tensor, offset: Tensor) -> Tensor:
        """Convolve at the shifted points.

        Args:
            x: (N, Cin, H, W).
            offset: (N, 2 * deformable_groups * kernel points, Hout, Wout): (dy, dx) in pixels of each point.

        Returns:
            (N, Cout, Hout, Wout).
        """
        return self._convolve(x, offset, None)

    def _convolve(self, x: Tensor, offset: Tensor, mask: Tensor | None) -> Tensor:
        # The operator wants one dtype, and positions in half precision would be off by pixels.
        dtype = self.weight.dtype
        # the meta device, on which shapes are tried out, knows no autocast
        with nullcontext() if x.is_meta else torch.autocast(x.device.type, enabled=False):
            out = deform_conv2d(
                x.to(dtype),
                offset.to(dtype),
                self.weight,
                self.bias,
                self.stride,
                self.padding,
                self.dilation,
                None if mask is None else mask.to(dtype),
            )
        out = out.to(x.dtype)
        if self.norm is not None:
            out = self.norm(out)
        if self.activation is not None:
            out = self.activation(out)
        return out

    def extra_repr(self) -> str:
        """Return the arguments, for `repr`."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, dilation={self.dilation}, groups={self.groups}, "
            f"deformable_groups={self.deformable_groups}, bias={self.bias is not None}"
        )


class ModulatedDeformConv(DeformConv):
    """A deformable convolution whose sampling points are also weighted. Arguments as for `DeformConv`."""

    modulated = True

    def forward(self, x: Tensor, offset: Tensor, mask: Tensor) -> Tensor:
        """As `DeformConv.forward`; mask: (N, deformable_groups * kernel points, Hout, Wout) weights."""
        return self._convolve(x, offset, mask)
