"""From masks of the places around a pixel to masks of windows: the "swap_align2nat" of TensorMask."""

import math

import torch
from torch import Tensor, nn

__all__ = ["SwapAlign2Nat", "swap_align2nat", "swap_align2nat_at"]


class SwapAlign2Nat(nn.Module):
    """The module of `swap_align2nat`; without parameters.

    Args:
        lambda_val: how many times the masks become finer, and the grid coarser.
        pad_val: what lies outside of the map and outside of a mask.
    """

    def __init__(self, lambda_val: int, pad_val: float = -6.0) -> None:
        super().__init__()
        self.lambda_val = checked_lambda(lambda_val)
        self.pad_val = pad_val

    def forward(self, x: Tensor) -> Tensor:
        """(N, V * V, H, W) -> (N, (lambda V) ** 2, ceil(H / lambda), ceil(W / lambda))."""
        return swap_align2nat(x, self.lambda_val, self.pad_val)

    def extra_repr(self) -> str:
        """Return the arguments, for `repr`."""
        return f"lambda_val={self.lambda_val}, pad_val={self.pad_val}"


def swap_align2nat(x: Tensor, lambda_val: int, pad_val: float = -6.0) -> Tensor:
    """Turn the aligned representation into the natural one (TensorMask, arXiv:1903.12174, section 3).

    In the aligned representation channel (v, u) of a pixel is what the mask of the window around *another*
    pixel, (v, u) places back, says of this pixel. In the natural one the channels of a pixel are the mask of
    the window around it. The result is sampled linearly in all of y, x, v, u.

    Args:
        x: (N, V * V, H, W), V odd where lambda_val is.
        lambda_val: how many times the masks become finer, and the grid coarser.
        pad_val: what lies outside of the map and outside of a mask.

    Returns:
        (N, V' * V', ceil(H / lambda_val), ceil(W / lambda_val)) with V' = lambda_val * V.

    Raises:
        ValueError: the channels are no square, or lambda_val is no whole number from 1.
    """
    scale = checked_lambda(lambda_val)
    side = side_of(x)
    batch, _, height, width = x.shape
    # All that is outside counts as the padding: so with the padding as zero, what is outside drops out.
    z = (x - pad_val).unflatten(1, (side, side)).permute(0, 1, 3, 2, 4)
    z = z.reshape(batch, side * height, side * width)
    for dim, size in ((1, height), (2, width)):
        places = torch.arange(-(-size // scale), device=x.device)
        inner, outer, weight = taps(places, scale, side, size, x.dtype)
        index = (inner * size + outer).flatten(0, 1)
        shape = (-1, 1) if dim == 1 else (-1,)
        weight = weight.flatten(0, 1)
        parts = [z.index_select(dim, index[:, i]) * weight[:, i].view(shape) for i in range(4)]
        z = parts[0] + parts[1] + parts[2] + parts[3]
    z = z.unflatten(2, (-1, side * scale)).unflatten(1, (-1, side * scale))
    return z.permute(0, 2, 4, 1, 3).flatten(1, 2) + pad_val


def swap_align2nat_at(
    x: Tensor, lambda_val: int, image: Tensor, row: Tensor, column: Tensor, pad_val: float = -6.0
) -> Tensor:
    """Return masks at some places of ``swap_align2nat(x, lambda_val, pad_val)``, without making all of it.

    Args:
        x: (N, V * V, H, W).
        image, row, column: (F,) int64 the places, in the coarser grid.

    Returns:
        (F, lambda V, lambda V), in float32 or better.
    """
    scale = checked_lambda(lambda_val)
    side = side_of(x)
    dtype = torch.promote_types(x.dtype, torch.float32)
    v, y, row_weight = taps(row, scale, side, x.shape[2], dtype)
    u, x_, column_weight = taps(column, scale, side, x.shape[3], dtype)
    # (F, V', 4, 1, 1) for the taps of a row of the mask, (F, 1, 1, V', 4) for those of a column
    v, y = v[..., None, None], y[..., None, None]
    u, x_ = u[:, None, None], x_[:, None, None]
    values = x.unflatten(1, (side, side))[image.view(-1, 1, 1, 1, 1), v, u, y, x_].to(dtype) - pad_val
    values = (values * row_weight[..., None, None]).sum(dim=2)
    return (values * column_weight[:, None]).sum(dim=-1) + pad_val


def taps(
    places: Tensor, scale: int, side: int, size: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Return where masks are sampled along one dimension, in whole numbers as far as that goes.

    Position a' of the mask of place p lies at ``p * scale + a' - V' / 2 + 0.5`` in the map, and at
    ``(a' + 0.5) / scale - 0.5`` in the mask before it became finer; each is between two whole numbers.

    Args:
        places: (P,) int64, in the coarser grid.
        scale: lambda; side: V; size: of the map.

    Returns:
        For each place and position in the mask four taps: index in the mask and in the map, (P, V', 4) int64,
        and their weights, 0 for a tap outside of either.
    """
    fine = torch.arange(side * scale, device=places.device)
    outer = 2 * (places[:, None] * scale + fine) - side * scale + 1  # in halves
    inner = (2 * fine + 1 - scale).expand_as(outer)  # in parts of 2 * scale
    outer, outer_weight = neighbours(outer, 2, size, dtype)
    inner, inner_weight = neighbours(inner, 2 * scale, side, dtype)
    inner, inner_weight = (each.repeat_interleave(2, dim=-1) for each in (inner, inner_weight))
    outer, outer_weight = (each.repeat(1, 1, 2) for each in (outer, outer_weight))
    return inner, outer, inner_weight * outer_weight


def neighbours(numerator: Tensor, denominator: int, size: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return the whole numbers around a fraction, (..., 2), and their weights; 0 outside of [0, size)."""
    below = torch.div(numerator, denominator, rounding_mode="floor")
    share = (numerator - below * denominator).to(dtype) / denominator
    index = torch.stack((below, below + 1), dim=-1)
    inside = (index >= 0) & (index < size)
    return index.clamp(0, size - 1), torch.stack((1 - share, share), dim=-1) * inside


def side_of(x: Tensor) -> int:
    """Return V of (N, V * V, H, W).

    Raises:
        ValueError: the channels are no square.
    """
    if x.dim() != 4 or math.isqrt(x.shape[1]) ** 2 != x.shape[1]:
        raise ValueError(
            f"swap_align2nat takes (N, V * V, H, W) with a square number of channels, got {tuple(x.shape)}"
        )
    return math.isqrt(x.shape[1])


def checked_lambda(lambda_val: float) -> int:
    """Return lambda as an int.

    Raises:
        ValueError: it is no whole number from 1.
    """
    if lambda_val < 1 or int(lambda_val) != lambda_val:
        raise ValueError(f"swap_align2nat: lambda_val is a whole number from 1, got {lambda_val}")
    return int(lambda_val)
