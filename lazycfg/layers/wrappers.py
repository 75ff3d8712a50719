"""torch's basic modules with what detection code keeps needing: a norm and an activation in one place."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BatchNorm2d = nn.BatchNorm2d
ConvTranspose2d = nn.ConvTranspose2d
Linear = nn.Linear
interpolate = F.interpolate

Size2 = int | tuple[int, int]


class Conv2d(nn.Conv2d):
    """A convolution followed by an optional normalisation and an optional activation.

    Args:
        norm: a built module applied to the convolution's output (see `get_norm`).
        activation: a callable applied last.
        The others are those of `torch.nn.Conv2d`. ``bias=False`` is the caller's choice, also with a norm.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size2,
        stride: Size2 = 1,
        padding: Size2 | str = 0,
        dilation: Size2 = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        norm: nn.Module | None = None,
        activation: Callable[[Tensor], Tensor] | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=bias,
            padding_mode=padding_mode,
            device=device,
            dtype=dtype,
        )
        self.norm = norm
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H', W'), then normalise and activate."""
        x = super().forward(x)
        if self.norm is not None:
            x = self.norm(x)
        if self.activation is not None:
            x = self.activation(x)
        return x


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Concatenate as `torch.cat` does, but return the only tensor of a list of one without copying it. Shapes
    as there: (N_i, ...) -> (N, ...).
    """
    return tensors[0] if len(tensors) == 1 else torch.cat(list(tensors), dim)


def nonzero_tuple(x: Tensor) -> tuple[Tensor, ...]:
    """Return the indices (K,) of the non-zero elements, one tensor per dimension. Waits for the device."""
    return x.nonzero(as_tuple=True)


def move_device_like(src: Tensor, dst: Tensor) -> Tensor:
    """Return `src` (any shape) on the device of `dst`."""
    return src.to(dst.device)


def shapes_to_tensor(shapes: Sequence[int], device: torch.device | None = None) -> Tensor:
    """Return integers as an int64 tensor (N,)."""
    return torch.as_tensor(shapes, dtype=torch.int64, device=device)


def empty_input_loss_func_wrapper(loss_func: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return a loss whose mean over no elements, shape (0,), is 0 (attached to the graph) instead of NaN."""

    def wrapped(input: Tensor, target: Tensor, *, reduction: str = "mean", **kwargs: Any) -> Tensor:
        if target.numel() == 0 and reduction == "mean":
            return input.sum() * 0.0
        return loss_func(input, target, reduction=reduction, **kwargs)

    return wrapped


# 0 of no rows, where `torch.nn.functional.cross_entropy` is NaN
cross_entropy = empty_input_loss_func_wrapper(F.cross_entropy)
