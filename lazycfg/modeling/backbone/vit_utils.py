"""Parts that the transformer backbones share. Token maps are (B, H, W, C) throughout."""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

# Pairs of tokens up to which attention takes its bias as a matrix: rounded less, but quadratic in memory.
_LARGEST_BIAS = 1 << 22


def drop_path_rates(rate: float, depth: int) -> list[float]:
    """Stochastic depth's drop probability of each of `depth` blocks: rising linearly from 0 to `rate`."""
    return [rate * i / max(depth - 1, 1) for i in range(depth)]


class DropPath(nn.Module):
    """Drops the whole residual branch of a sample with probability `drop_prob` (arXiv:1603.09382)."""

    def __init__(self, drop_prob: float = 0.0) -> None:
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x: Tensor) -> Tensor:
        """Return residuals (N, ...), in training those of some samples as zeros and the rest scaled up."""
        if self.drop_prob == 0.0 or not self.training:
            return x
        keep = 1.0 - self.drop_prob
        mask = x.new_empty((x.shape[0],) + (1,) * (x.ndim - 1)).bernoulli_(keep)
        return x * (mask / keep if keep > 0.0 else mask)

    def extra_repr(self) -> str:
        """Return the arguments, for `repr`."""
        return f"drop_prob={self.drop_prob}"


class Mlp(nn.Module):
    """Two linear layers with an activation between them, over the last dimension."""

    def __init__(
        self,
        in_features: int,
        hidden_features: int | None = None,
        out_features: int | None = None,
        act_layer: Callable[[], nn.Module] = nn.GELU,
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        hidden_features = hidden_features or in_features
        self.fc1 = nn.Linear(in_features, hidden_features)
        self.act = act_layer()
        self.fc2 = nn.Linear(hidden_features, out_features or in_features)
        self.drop = nn.Dropout(drop)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., in_features) to (..., out_features)."""
        return self.drop(self.fc2(self.drop(self.act(self.fc1(x)))))


class PatchEmbed(nn.Module):
    """Images (B, C, H, W) to tokens (B, H', W', embed_dim) by one strided convolution.

    Args:
        kernel_size, stride, padding: of the convolution, (vertical, horizontal), in pixels.
        norm_layer: called with `embed_dim`; applied to the tokens.
        pad_to_stride: zero-pad the image below and to the right to a multiple of `stride` first, so that
            no pixel is left out.
    """

    def __init__(
        self,
        kernel_size: tuple[int, int] = (16, 16),
        stride: tuple[int, int] = (16, 16),
        padding: tuple[int, int] = (0, 0),
        in_chans: int = 3,
        embed_dim: int = 768,
        *,
        norm_layer: Callable[[int], nn.Module] | None = None,
        pad_to_stride: bool = False,
    ) -> None:
        super().__init__()
        self.pad_to_stride = pad_to_stride
        self.proj = nn.Conv2d(in_chans, embed_dim, kernel_size=kernel_size, stride=stride, padding=padding)
        self.norm = norm_layer(embed_dim) if norm_layer is not None else None

    def forward(self, x: Tensor) -> Tensor:
        """Map images (B, C, H, W) to tokens (B, H', W', embed_dim)."""
        if self.pad_to_stride:
            sv, sh = self.proj.stride
            below, right = -x.shape[-2] % sv, -x.shape[-1] % sh
            if below or right:
                x = F.pad(x, (0, right, 0, below))
        x = self.proj(x).permute(0, 2, 3, 1)
        return x if self.norm is None else self.norm(x)


def window_partition(x: Tensor, window_size: int) -> tuple[Tensor, tuple[int, int]]:
    """Cut a map into square windows, zero-padded below and to the right as needed.

    Args:
        x: (B, H, W, C).

    Returns:
        windows (B * number of windows, window_size, window_size, C), those of one image together in
        row-major order, and the padded (H, W).
    """
    B, H, W, C = x.shape
    below, right = -H % window_size, -W % window_size
    if below or right:
        x = F.pad(x, (0, 0, 0, right, 0, below))
    Hp, Wp = H + below, W + right
    x = x.view(B, Hp // window_size, window_size, Wp // window_size, window_size, C)
    return x.transpose(2, 3).reshape(-1, window_size, window_size, C), (Hp, Wp)


def window_unpartition(
    windows: Tensor, window_size: int, pad_hw: tuple[int, int], hw: tuple[int, int]
) -> Tensor:
    """Undo `window_partition`: windows of a map padded to `pad_hw` -> (B, H, W, C) of size `hw`."""
    (Hp, Wp), (H, W) = pad_hw, hw
    rows, columns = Hp // window_size, Wp // window_size
    x = windows.view(-1, rows, columns, window_size, window_size, windows.shape[-1])
    x = x.transpose(2, 3).reshape(-1, Hp, Wp, windows.shape[-1])
    return x[:, :H, :W].contiguous() if (Hp, Wp) != (H, W) else x


def get_rel_pos(q_size: int, k_size: int, rel_pos: Tensor) -> Tensor:
    """Embeddings of all relative positions along one axis.

    Args:
        q_size, k_size: number of query and of key positions; the shorter axis is stretched to the longer.
        rel_pos: table (L, C), interpolated linearly where L is not 2 * max(q_size, k_size) - 1.

    Returns:
        (q_size, k_size, C).
    """
    length = 2 * max(q_size, k_size) - 1
    if rel_pos.shape[0] != length:
        table = rel_pos.t()[None]
        rel_pos = F.interpolate(table, size=length, mode="linear")[0].t()
    q_step, k_step = max(k_size / q_size, 1.0), max(q_size / k_size, 1.0)
    q = torch.arange(q_size, device=rel_pos.device)[:, None] * q_step
    k = torch.arange(k_size, device=rel_pos.device)[None] * k_step
    index = (q - k + (k_size - 1) * k_step).long()
    return rel_pos.index_select(0, index.flatten()).view(q_size, k_size, -1)


def decomposed_rel_pos(
    q: Tensor, rel_pos_h: Tensor, rel_pos_w: Tensor, q_hw: tuple[int, int], k_hw: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Return what each query adds to its logits per key row and per key column (MViTv2, arXiv:2112.01526).

    Args:
        q: queries (..., q_h * q_w, C), not scaled.
        rel_pos_h, rel_pos_w: tables of `get_rel_pos`.

    Returns:
        (..., q_h * q_w, k_h) and (..., q_h * q_w, k_w); the bias of a logit is the sum of one of each.
    """
    r_q = q.unflatten(-2, q_hw)
    rel_h = torch.einsum("...hwc,hkc->...hwk", r_q, get_rel_pos(q_hw[0], k_hw[0], rel_pos_h))
    rel_w = torch.einsum("...hwc,wkc->...hwk", r_q, get_rel_pos(q_hw[1], k_hw[1], rel_pos_w))
    return rel_h.flatten(-3, -2), rel_w.flatten(-3, -2)


def rel_pos_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    rel_pos_h: Tensor,
    rel_pos_w: Tensor,
    q_hw: tuple[int, int],
    k_hw: tuple[int, int],
) -> Tensor:
    """Softmax attention with decomposed relative positions.

    Args:
        q: (B, heads, q_h * q_w, C); k, v: (B, heads, k_h * k_w, C).

    Returns:
        (B, heads, q_h * q_w, C).
    """
    rel_h, rel_w = (x.to(q.dtype) for x in decomposed_rel_pos(q, rel_pos_h, rel_pos_w, q_hw, k_hw))
    if q.shape[-2] * k.shape[-2] > _LARGEST_BIAS:
        return _biased_by_channels(q, k, v, rel_h, rel_w, k_hw)
    bias = (rel_h.unsqueeze(-1) + rel_w.unsqueeze(-2)).flatten(-2)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def _biased_by_channels(
    q: Tensor, k: Tensor, v: Tensor, rel_h: Tensor, rel_w: Tensor, k_hw: tuple[int, int]
) -> Tensor:
    """Attention whose bias is part of the scalar product: [q, rel_h, rel_w] . [k, row of k, column of k], the
    last two one-hot. There is no matrix of all pairs, in the backward pass either: linear memory.
    """
    channels = q.shape[-1]
    (rows, columns), like = k_hw, {"dtype": k.dtype, "device": k.device}
    row = torch.eye(rows, **like)[:, None].expand(rows, columns, rows)
    column = torch.eye(columns, **like).expand(rows, columns, columns)
    place = torch.cat((row, column), dim=-1).flatten(0, 1).expand(*k.shape[:-1], -1)
    q = torch.cat((q * channels**-0.5, rel_h, rel_w), dim=-1)
    k = torch.cat((k, place), dim=-1)
    v = F.pad(v, (0, rows + columns))  # the fused kernels want values as wide as keys
    return F.scaled_dot_product_attention(q, k, v, scale=1.0)[..., :channels]


def get_abs_pos(abs_pos: Tensor, has_cls_token: bool, hw: tuple[int, int]) -> Tensor:
    """Absolute position embeddings of a square pretraining grid, for a map of size `hw`.

    Args:
        abs_pos: (1, positions, C); the first position is the class token's where `has_cls_token`.
        hw: height and width in tokens; bicubic interpolation where the grid differs.

    Returns:
        (1, H, W, C).

    Raises:
        ValueError: the embeddings are not those of a square grid.
    """
    if has_cls_token:
        abs_pos = abs_pos[:, 1:]
    side = math.isqrt(abs_pos.shape[1])
    if side * side != abs_pos.shape[1]:
        raise ValueError(f"absolute positions: {abs_pos.shape[1]} tokens do not form a square grid")
    grid = abs_pos.reshape(1, side, side, -1)
    if (side, side) == tuple(hw):
        return grid
    grid = F.interpolate(grid.permute(0, 3, 1, 2), size=hw, mode="bicubic", align_corners=False)
    return grid.permute(0, 2, 3, 1)


def abs_pos_table(
    pretrain_img_size: int, patch: Sequence[int], use_cls_token: bool, channels: int
) -> nn.Parameter:
    """Position embeddings (1, positions, channels) of the pretraining grid, the class token's included.

    Args:
        pretrain_img_size: side of its images in pixels; patch: (vertical, horizontal) stride of the tokens.
    """
    grid = (pretrain_img_size // patch[0]) * (pretrain_img_size // patch[1])
    return _table(1, grid + int(use_cls_token), channels)


def rel_pos_table(length: int, channels: int, *, zero_init: bool) -> nn.Parameter:
    """Embeddings (length, channels) of relative positions along one side."""
    return nn.Parameter(torch.zeros(length, channels)) if zero_init else _table(length, channels)


def _table(*shape: int) -> nn.Parameter:
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(shape), std=0.02))


def init_transformer_weights(module: nn.Module) -> None:
    """For `nn.Module.apply`: linear weights normal (std 0.02), biases 0, LayerNorms the identity."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.LayerNorm):
        if module.weight is not None:
            nn.init.ones_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def run_block(block: nn.Module, *inputs: Tensor | None, use_checkpoint: bool) -> Tensor:
    """Run ``block(*inputs)``; with `use_checkpoint`, activations are computed again in the backward pass. The
    inputs are tokens (B, H, W, C), and what else the block takes.
    """
    if use_checkpoint and torch.is_grad_enabled():
        out: Tensor = checkpoint(block, *inputs, use_reentrant=False)
        return out
    result: Tensor = block(*inputs)
    return result
