"""Multiscale vision transformer backbone (MViTv2, arXiv:2112.01526)."""

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from .backbone import Backbone
from .vit_utils import (
    DropPath,
    Mlp,
    PatchEmbed,
    abs_pos_table,
    drop_path_rates,
    get_abs_pos,
    init_transformer_weights,
    rel_pos_attention,
    rel_pos_table,
    run_block,
    window_partition,
    window_unpartition,
)

NormLayer = Callable[[int], nn.Module]


def attention_pool(x: Tensor, pool: nn.Module, norm: nn.Module | None = None) -> Tensor:
    """Apply a pooling or convolution made for (B, C, H, W) to tokens (B, H, W, C), then `norm`."""
    x = pool(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    return x if norm is None else norm(x)


class MultiScaleAttention(nn.Module):
    """Self-attention whose queries, keys and values are pooled first: (B, H, W, dim) -> (B, H', W', dim_out).

    Args:
        dim, dim_out: channels of the input and the output.
        pool_kernel: (vertical, horizontal) kernel of the pooling depthwise convolutions.
        stride_q, stride_kv: their strides; H' = ceil(H / stride_q).
        residual_pooling: add the pooled queries to the result.
        window_size: side of the attention windows in tokens of the input; 0 is global attention.
        use_rel_pos, rel_pos_zero_init: decomposed relative positions, and whether they start at zero.
        input_size: (H, W) of the input, a square, that the tables of relative positions are made for.
    """

    def __init__(
        self,
        dim: int,
        dim_out: int,
        num_heads: int,
        qkv_bias: bool = True,
        norm_layer: NormLayer = nn.LayerNorm,
        pool_kernel: tuple[int, int] = (3, 3),
        stride_q: int = 1,
        stride_kv: int = 1,
        residual_pooling: bool = True,
        window_size: int = 0,
        use_rel_pos: bool = False,
        rel_pos_zero_init: bool = True,
        input_size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.residual_pooling = residual_pooling
        self.window_size = window_size
        self.q_win_size = window_size // stride_q
        self.kv_win_size = window_size // stride_kv
        self.use_rel_pos = use_rel_pos
        head_dim = dim_out // num_heads
        self.qkv = nn.Linear(dim, dim_out * 3, bias=qkv_bias)
        self.proj = nn.Linear(dim_out, dim_out)

        def pool(stride: int) -> nn.Conv2d:
            return nn.Conv2d(
                head_dim,
                head_dim,
                pool_kernel,
                stride=stride,
                padding=(pool_kernel[0] // 2, pool_kernel[1] // 2),
                groups=head_dim,
                bias=False,
            )

        self.pool_q, self.norm_q = pool(stride_q), norm_layer(head_dim)
        self.pool_k, self.norm_k = pool(stride_kv), norm_layer(head_dim)
        self.pool_v, self.norm_v = pool(stride_kv), norm_layer(head_dim)
        if use_rel_pos:
            if input_size is None or input_size[0] != input_size[1]:
                raise ValueError(f"use_rel_pos needs a square input_size, not {input_size}")
            length = 2 * max(input_size[0] // stride_q, input_size[0] // stride_kv) - 1
            self.rel_pos_h = rel_pos_table(length, head_dim, zero_init=rel_pos_zero_init)
            self.rel_pos_w = rel_pos_table(length, head_dim, zero_init=rel_pos_zero_init)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (B, H, W, dim) to (B, H', W', dim_out), H' and W' being those of the pooled queries."""
        B, H, W, _ = x.shape
        heads = self.num_heads
        # every head is pooled by the same convolutions: heads go into the batch
        qkv = self.qkv(x).view(B, H, W, 3, heads, -1).permute(3, 0, 4, 1, 2, 5).flatten(1, 2)
        q = attention_pool(qkv[0], self.pool_q, self.norm_q)
        k = attention_pool(qkv[1], self.pool_k, self.norm_k)
        v = attention_pool(qkv[2], self.pool_v, self.norm_v)
        pooled_q = q
        out_hw = (q.shape[1], q.shape[2])
        if self.window_size:
            q, pad_hw = window_partition(q, self.q_win_size)
            k, _ = window_partition(k, self.kv_win_size)
            v, _ = window_partition(v, self.kv_win_size)
        q_hw, k_hw = (q.shape[1], q.shape[2]), (k.shape[1], k.shape[2])
        # (B * heads, windows of an image, tokens, C): attention does not mind which of them is called head
        q, k, v = (t.view(B * heads, -1, t.shape[1] * t.shape[2], t.shape[3]) for t in (q, k, v))
        if self.use_rel_pos:
            out = rel_pos_attention(q, k, v, self.rel_pos_h, self.rel_pos_w, q_hw, k_hw)
        else:
            out = F.scaled_dot_product_attention(q, k, v)
        if self.window_size:
            out = window_unpartition(out, self.q_win_size, pad_hw, out_hw)
        out = out.reshape(pooled_q.shape)
        if self.residual_pooling:
            out = out + pooled_q
        out = out.unflatten(0, (B, heads)).permute(0, 2, 3, 1, 4).flatten(3)
        return self.proj(out)


class MultiScaleBlock(nn.Module):
    """A transformer block that may halve the resolution and widen: (B, H, W, dim) -> (B, H', W', dim_out).

    Args:
        qkv_pool_kernel: kernel of the pooling in the attention.
        The others are those of `MultiScaleAttention` and `MViT`.
    """

    def __init__(
        self,
        dim: int,
        dim_out: int,
        num_heads: int,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        drop_path: float = 0.0,
        norm_layer: NormLayer = nn.LayerNorm,
        act_layer: Callable[[], nn.Module] = nn.GELU,
        qkv_pool_kernel: tuple[int, int] = (3, 3),
        stride_q: int = 1,
        stride_kv: int = 1,
        residual_pooling: bool = True,
        window_size: int = 0,
        use_rel_pos: bool = False,
        rel_pos_zero_init: bool = True,
        input_size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.norm1 = norm_layer(dim)
        self.attn = MultiScaleAttention(
            dim,
            dim_out,
            num_heads=num_heads,
            qkv_bias=qkv_bias,
            norm_layer=norm_layer,
            pool_kernel=qkv_pool_kernel,
            stride_q=stride_q,
            stride_kv=stride_kv,
            residual_pooling=residual_pooling,
            window_size=window_size,
            use_rel_pos=use_rel_pos,
            rel_pos_zero_init=rel_pos_zero_init,
            input_size=input_size,
        )
        self.drop_path = DropPath(drop_path)
        self.norm2 = norm_layer(dim_out)
        self.mlp = Mlp(dim_out, hidden_features=int(dim_out * mlp_ratio), act_layer=act_layer)
        self.proj = nn.Linear(dim, dim_out) if dim != dim_out else None
        self.pool_skip = (
            nn.MaxPool2d(stride_q + 1, stride_q, padding=(stride_q + 1) // 2) if stride_q > 1 else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (B, H, W, dim) to (B, H', W', dim_out), as its attention does."""
        y = self.norm1(x)
        skip = x if self.proj is None else self.proj(y)
        if self.pool_skip is not None:
            skip = attention_pool(skip, self.pool_skip)
        x = skip + self.drop_path(self.attn(y))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class MViT(Backbone):
    """Multiscale vision transformer: stages of falling resolution and rising width.

    Args:
        img_size: side of the images in pixels that the relative positions are made for; any other size
            works too.
        patch_kernel, patch_stride, patch_padding: the convolution that makes the tokens, in pixels.
        in_chans: channels of the images.
        embed_dim, depth, num_heads: width and heads of the first stage, and number of blocks.
        last_block_indexes: last block of each of the four stages. The next block halves the resolution;
            width and heads double from there.
        qkv_pool_kernel: kernel of the pooling in the attention.
        adaptive_kv_stride: pooling stride of keys and values in the first stage, halved at each next one.
        adaptive_window_size: side of the attention windows in tokens in the first stage, halved with the
            resolution. The last blocks of the later stages attend globally.
        residual_pooling: add the pooled queries to the attention's result.
        mlp_ratio, qkv_bias, drop_path_rate, norm_layer, act_layer: as of `ViT`.
        use_abs_pos: add learned absolute positions, interpolated from the pretraining grid.
        use_rel_pos, rel_pos_zero_init: decomposed relative positions in the attention.
        use_act_checkpoint: compute the blocks' activations again in the backward pass.
        pretrain_img_size, pretrain_use_cls_token: the pretraining grid of `use_abs_pos`: side of the images
            in pixels, and whether a class token comes first.
        out_features: stages to return, of "scale2" ... "scale5".
    """

    def __init__(
        self,
        *,
        img_size: int = 224,
        patch_kernel: tuple[int, int] = (7, 7),
        patch_stride: tuple[int, int] = (4, 4),
        patch_padding: tuple[int, int] = (3, 3),
        in_chans: int = 3,
        embed_dim: int = 96,
        depth: int = 16,
        num_heads: int = 1,
        last_block_indexes: Sequence[int] = (0, 2, 11, 15),
        qkv_pool_kernel: tuple[int, int] = (3, 3),
        adaptive_kv_stride: int = 4,
        adaptive_window_size: int = 56,
        residual_pooling: bool = True,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        drop_path_rate: float = 0.0,
        norm_layer: NormLayer = nn.LayerNorm,
        act_layer: Callable[[], nn.Module] = nn.GELU,
        use_abs_pos: bool = False,
        use_rel_pos: bool = True,
        rel_pos_zero_init: bool = True,
        use_act_checkpoint: bool = False,
        pretrain_img_size: int = 224,
        pretrain_use_cls_token: bool = True,
        out_features: Sequence[str] = ("scale2", "scale3", "scale4", "scale5"),
    ) -> None:
        super().__init__()
        self.pretrain_use_cls_token = pretrain_use_cls_token
        self.use_act_checkpoint = use_act_checkpoint
        self.patch_embed = PatchEmbed(
            patch_kernel, patch_stride, patch_padding, in_chans=in_chans, embed_dim=embed_dim
        )
        self.pos_embed: nn.Parameter | None = None
        if use_abs_pos:
            self.pos_embed = abs_pos_table(pretrain_img_size, patch_stride, pretrain_use_cls_token, embed_dim)

        rates = drop_path_rates(drop_path_rate, depth)
        input_size = (img_size // patch_stride[0], img_size // patch_stride[1])
        dim, dim_out, stride_kv, window = embed_dim, embed_dim, adaptive_kv_stride, adaptive_window_size
        stride, stage = patch_stride[0], 2
        self._out_features: list[str] = []
        self._out_feature_channels: dict[str, int] = {}
        self._out_feature_strides: dict[str, int] = {}
        self._stage_ends: dict[int, str] = {}
        self.blocks = nn.ModuleList()
        norms: dict[str, nn.Module] = {}
        for i in range(depth):
            first_of_stage = i - 1 in last_block_indexes
            self.blocks.append(
                MultiScaleBlock(
                    dim,
                    dim_out,
                    num_heads,
                    mlp_ratio=mlp_ratio,
                    qkv_bias=qkv_bias,
                    drop_path=rates[i],
                    norm_layer=norm_layer,
                    act_layer=act_layer,
                    qkv_pool_kernel=qkv_pool_kernel,
                    stride_q=2 if first_of_stage else 1,
                    # the last, global blocks of the two middle stages pool keys and values once more
                    stride_kv=stride_kv * 2 if i in last_block_indexes[1:3] else stride_kv,
                    residual_pooling=residual_pooling,
                    window_size=0 if i in last_block_indexes[1:] else window,
                    use_rel_pos=use_rel_pos,
                    rel_pos_zero_init=rel_pos_zero_init,
                    input_size=input_size,
                )
            )
            dim = dim_out
            if i in last_block_indexes:
                name = f"scale{stage}"
                if name in out_features:
                    norms[name] = norm_layer(dim)
                    self._out_features.append(name)
                    self._out_feature_channels[name] = dim
                    self._out_feature_strides[name] = stride
                    self._stage_ends[i] = name
                dim_out, num_heads, stride_kv = dim_out * 2, num_heads * 2, max(stride_kv // 2, 1)
                stride, stage = stride * 2, stage + 1
            if first_of_stage:
                window //= 2
                input_size = (input_size[0] // 2, input_size[1] // 2)
        for name, norm in norms.items():
            self.add_module(f"{name}_norm", norm)
        self.apply(init_transformer_weights)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Images (B, C, H, W) -> maps by name, finest first, each (B, channels, H / stride, W / stride)."""
        x = self.patch_embed(x)
        if self.pos_embed is not None:
            x = x + get_abs_pos(self.pos_embed, self.pretrain_use_cls_token, (x.shape[1], x.shape[2]))
        outputs = {}
        for i, block in enumerate(self.blocks):
            x = run_block(block, x, use_checkpoint=self.use_act_checkpoint)
            if i in self._stage_ends:
                name = self._stage_ends[i]
                outputs[name] = getattr(self, f"{name}_norm")(x).permute(0, 3, 1, 2)
        return outputs
