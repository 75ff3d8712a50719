"""Swin transformer backbone (arXiv:2103.14030)."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .backbone import Backbone
from .vit_utils import (
    DropPath,
    Mlp,
    PatchEmbed,
    drop_path_rates,
    init_transformer_weights,
    run_block,
    window_partition,
    window_unpartition,
)

NormLayer = Callable[[int], nn.Module]

# What keeps apart tokens that meet in a shifted window without being neighbours in the image.
_APART = -100.0


def shifted_window_mask(
    hw: tuple[int, int], window_size: int, shift_size: int, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Return what to add to the logits of windows of a map (H, W) that was rolled by `shift_size` up and to
    the left.

    Args:
        hw: height and width of the map in tokens, multiples of `window_size`.

    Returns:
        (number of windows, tokens, tokens): 0 between tokens of one region of the map, else -100.
    """
    H, W = hw
    rows, columns = torch.arange(H, device=device), torch.arange(W, device=device)
    region = 3 * ((rows >= H - window_size).int() + (rows >= H - shift_size).int())[:, None]
    region = region + (columns >= W - window_size).int() + (columns >= W - shift_size).int()
    windows = window_partition(region[None, :, :, None], window_size)[0].flatten(1)
    apart = windows[:, None, :] != windows[:, :, None]
    return apart.to(dtype) * _APART


class WindowAttention(nn.Module):
    """Multi-head self-attention within windows, with a learned bias per relative position and head.

    Args:
        dim: channels.
        window_size: (H, W) of a window in tokens.
        qk_scale: factor of the logits; 1 / sqrt(channels of a head) by default.
        attn_drop, proj_drop: dropout of the attention weights and of the output.
    """

    def __init__(
        self,
        dim: int,
        window_size: tuple[int, int],
        num_heads: int,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.scale = qk_scale
        self.attn_drop = attn_drop
        h, w = window_size
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * h - 1) * (2 * w - 1), num_heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        row, column = torch.arange(h), torch.arange(w)
        down = (row[:, None] - row[None] + h - 1) * (2 * w - 1)
        right = column[:, None] - column[None] + w - 1
        index = (down[:, None, :, None] + right[None, :, None, :]).reshape(h * w, h * w)
        self.register_buffer("relative_position_index", index)
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        self.proj_drop = nn.Dropout(proj_drop)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attention within each window.

        Args:
            x: (B * W, N, C), the W windows of an image together.
            mask: (W, N, N), added to the logits.

        Returns:
            (B * W, N, C).
        """
        num, N, C = x.shape
        heads = self.num_heads
        qkv = self.qkv(x).view(num, N, 3, heads, C // heads).permute(2, 0, 3, 1, 4)
        bias = self.relative_position_bias_table.index_select(0, self.relative_position_index.flatten())
        bias = bias.view(N, N, heads).permute(2, 0, 1)
        if mask is None:
            bias = bias[None]
        else:
            # windows become heads, so that one mask serves all images
            bias = (bias + mask[:, None]).flatten(0, 1)[None]
            qkv = qkv.reshape(3, num // mask.shape[0], mask.shape[0] * heads, N, C // heads)
        q, k, v = qkv.unbind(0)
        x = F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=bias.to(q.dtype),
            dropout_p=self.attn_drop if self.training else 0.0,
            scale=self.scale,
        )
        x = x.reshape(num, heads, N, C // heads).transpose(1, 2).reshape(num, N, C)
        return self.proj_drop(self.proj(x))


class SwinTransformerBlock(nn.Module):
    """A transformer block over a map (B, H, W, dim), its attention within regular or shifted windows.

    Args:
        window_size: side of the windows in tokens.
        shift_size: by how many tokens the windows are shifted down and to the right; less than
            `window_size`.
        drop, attn_drop, drop_path: dropout of the outputs, of the attention weights; stochastic depth.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        window_size: int = 7,
        shift_size: int = 0,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        drop: float = 0.0,
        attn_drop: float = 0.0,
        drop_path: float = 0.0,
        act_layer: Callable[[], nn.Module] = nn.GELU,
        norm_layer: NormLayer = nn.LayerNorm,
    ) -> None:
        super().__init__()
        if not 0 <= shift_size < window_size:
            raise ValueError(
                f"shift_size is {shift_size}, expected 0 to {window_size - 1} with this window_size"
            )
        self.window_size = window_size
        self.shift_size = shift_size
        self.norm1 = norm_layer(dim)
        self.attn = WindowAttention(
            dim,
            window_size=(window_size, window_size),
            num_heads=num_heads,
            qkv_bias=qkv_bias,
            qk_scale=qk_scale,
            attn_drop=attn_drop,
            proj_drop=drop,
        )
        self.drop_path = DropPath(drop_path)
        self.norm2 = norm_layer(dim)
        self.mlp = Mlp(dim, hidden_features=int(dim * mlp_ratio), act_layer=act_layer, drop=drop)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map tokens (B, H, W, C) to the same shape.

        Args:
            x: the tokens.
            mask: that of `shifted_window_mask`, for the padded map; used where the windows are shifted.
        """
        _, H, W, C = x.shape
        size, shift = self.window_size, self.shift_size
        y = F.pad(self.norm1(x), (0, 0, 0, -W % size, 0, -H % size))
        if shift:
            y = y.roll((-shift, -shift), dims=(1, 2))
        windows, pad_hw = window_partition(y, size)
        windows = self.attn(windows.flatten(1, 2), mask if shift else None)
        y = window_unpartition(windows.view(-1, size, size, C), size, pad_hw, pad_hw)
        if shift:
            y = y.roll((shift, shift), dims=(1, 2))
        x = x + self.drop_path(y[:, :H, :W])
        return x + self.drop_path(self.mlp(self.norm2(x)))


class PatchMerging(nn.Module):
    """Halve the resolution, double the width: (B, H, W, C) -> (B, ceil(H / 2), ceil(W / 2), 2 * C)."""

    def __init__(self, dim: int, norm_layer: NormLayer = nn.LayerNorm) -> None:
        super().__init__()
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = norm_layer(4 * dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (B, H, W, C) to (B, ceil(H / 2), ceil(W / 2), 2 * C)."""
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        B, H, W, C = x.shape
        # channels of a pixel's four parts in column-major order: (0, 0), (1, 0), (0, 1), (1, 1)
        x = x.view(B, H // 2, 2, W // 2, 2, C).permute(0, 1, 3, 4, 2, 5).flatten(3)
        return self.reduction(self.norm(x))


class BasicLayer(nn.Module):
    """One stage: `depth` blocks, every second one with shifted windows, then an optional `downsample`.

    Args:
        drop_path: stochastic depth, one for all blocks or one each.
        downsample: class of the layer at the end, called with `dim` and `norm_layer`.
        use_checkpoint: compute the blocks' activations again in the backward pass.
        The others are those of `SwinTransformerBlock`.
    """

    def __init__(
        self,
        dim: int,
        depth: int,
        num_heads: int,
        window_size: int = 7,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        drop: float = 0.0,
        attn_drop: float = 0.0,
        drop_path: float | Sequence[float] = 0.0,
        norm_layer: NormLayer = nn.LayerNorm,
        downsample: Callable[..., nn.Module] | None = None,
        use_checkpoint: bool = False,
    ) -> None:
        super().__init__()
        self.window_size = window_size
        self.shift_size = window_size // 2
        self.use_checkpoint = use_checkpoint
        rates = [drop_path] * depth if isinstance(drop_path, int | float) else list(drop_path)
        self.blocks = nn.ModuleList(
            SwinTransformerBlock(
                dim,
                num_heads,
                window_size=window_size,
                shift_size=self.shift_size if i % 2 else 0,
                mlp_ratio=mlp_ratio,
                qkv_bias=qkv_bias,
                qk_scale=qk_scale,
                drop=drop,
                attn_drop=attn_drop,
                drop_path=rates[i],
                norm_layer=norm_layer,
            )
            for i in range(depth)
        )
        self.downsample = downsample(dim=dim, norm_layer=norm_layer) if downsample is not None else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, H, W, dim) to the stage's own map, and the next stage's input."""
        size = self.window_size
        padded = (x.shape[1] + -x.shape[1] % size, x.shape[2] + -x.shape[2] % size)
        mask = None
        if len(self.blocks) > 1 and self.shift_size:
            mask = shifted_window_mask(padded, size, self.shift_size, x.device, x.dtype)
        for block in self.blocks:
            x = run_block(block, x, mask, use_checkpoint=self.use_checkpoint)
        return x, x if self.downsample is None else self.downsample(x)


class SwinTransformer(Backbone):
    """Hierarchical transformer with attention within shifted windows.

    Args:
        pretrain_img_size: side in pixels of the pretraining images, for absolute positions.
        patch_size: side of a patch in pixels.
        in_chans: channels of the images.
        embed_dim: width of the first stage; doubles at each next one.
        depths, num_heads: blocks and attention heads of each stage.
        window_size: side of the attention windows in tokens.
        mlp_ratio: hidden width of the MLPs over the stage's width.
        qkv_bias, qk_scale: bias of the projections; factor of the logits (default 1 / sqrt(head width)).
        drop_rate, attn_drop_rate, drop_path_rate: dropout, of the attention weights, and stochastic depth
            of the last block (the others' rises linearly to it).
        norm_layer: makes the normalisations from the width.
        ape: add learned absolute positions, interpolated to the map's size.
        patch_norm: normalise the patches' tokens.
        out_indices: stages to return, named "p<index>", of stride `patch_size` * 2 ** index.
        frozen_stages: -1 trains all; 0 freezes the patches' embedding, 1 the absolute positions too,
            k >= 2 the first k - 1 stages too. What is frozen stays in evaluation mode.
        use_checkpoint: compute the blocks' activations again in the backward pass.
    """

    def __init__(
        self,
        *,
        pretrain_img_size: int | tuple[int, int] = 224,
        patch_size: int | tuple[int, int] = 4,
        in_chans: int = 3,
        embed_dim: int = 96,
        depths: Sequence[int] = (2, 2, 6, 2),
        num_heads: Sequence[int] = (3, 6, 12, 24),
        window_size: int = 7,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.2,
        norm_layer: NormLayer = nn.LayerNorm,
        ape: bool = False,
        patch_norm: bool = True,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = -1,
        use_checkpoint: bool = False,
    ) -> None:
        super().__init__()
        patch = _pair(patch_size)
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.patch_embed = PatchEmbed(
            patch,
            patch,
            in_chans=in_chans,
            embed_dim=embed_dim,
            norm_layer=norm_layer if patch_norm else None,
            pad_to_stride=True,
        )
        if ape:
            h, w = _pair(pretrain_img_size)
            grid = (h // patch[0], w // patch[1])
            self.absolute_pos_embed = nn.Parameter(torch.zeros(1, embed_dim, *grid))
            nn.init.trunc_normal_(self.absolute_pos_embed, std=0.02)
        else:
            self.absolute_pos_embed = None
        self.pos_drop = nn.Dropout(drop_rate)
        rates = drop_path_rates(drop_path_rate, sum(depths))
        self.layers = nn.ModuleList()
        for i, depth in enumerate(depths):
            self.layers.append(
                BasicLayer(
                    embed_dim * 2**i,
                    depth,
                    num_heads[i],
                    window_size=window_size,
                    mlp_ratio=mlp_ratio,
                    qkv_bias=qkv_bias,
                    qk_scale=qk_scale,
                    drop=drop_rate,
                    attn_drop=attn_drop_rate,
                    drop_path=rates[sum(depths[:i]) : sum(depths[: i + 1])],
                    norm_layer=norm_layer,
                    downsample=PatchMerging if i < len(depths) - 1 else None,
                    use_checkpoint=use_checkpoint,
                )
            )
        for i in self.out_indices:
            self.add_module(f"norm{i}", norm_layer(embed_dim * 2**i))
        self._out_features = [f"p{i}" for i in self.out_indices]
        self._out_feature_channels = {f"p{i}": embed_dim * 2**i for i in self.out_indices}
        self._out_feature_strides = {f"p{i}": patch[0] * 2**i for i in self.out_indices}
        self._size_divisibility = patch[0] * 2 ** (len(depths) - 1)
        self.apply(init_transformer_weights)
        for module in self._frozen():
            module.requires_grad_(False)
        if self.absolute_pos_embed is not None and frozen_stages >= 1:
            self.absolute_pos_embed.requires_grad = False

    @property
    def size_divisibility(self) -> int:
        """Return the number of pixels that the sides of images must be multiples of."""
        return self._size_divisibility

    def _frozen(self) -> list[nn.Module]:
        frozen: list[nn.Module] = [self.patch_embed] if self.frozen_stages >= 0 else []
        if self.frozen_stages >= 2:
            frozen += [self.pos_drop, *self.layers[: self.frozen_stages - 1]]
        return frozen

    def train(self, mode: bool = True) -> "SwinTransformer":
        """Set training mode, but for the stages that are frozen."""
        super().train(mode)
        for module in self._frozen():
            module.eval()
        return self

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Images (B, C, H, W) -> maps by name, finest first, each (B, channels, H / stride, W / stride)."""
        x = self.patch_embed(x)
        if self.absolute_pos_embed is not None:
            pos = F.interpolate(self.absolute_pos_embed, size=x.shape[1:3], mode="bicubic")
            x = x + pos.permute(0, 2, 3, 1)
        x = self.pos_drop(x)
        outputs = {}
        for i, layer in enumerate(self.layers):
            own, x = layer(x)
            if i in self.out_indices:
                outputs[f"p{i}"] = getattr(self, f"norm{i}")(own).permute(0, 3, 1, 2)
        return outputs


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value
