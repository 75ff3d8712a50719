"""Plain vision transformer backbones (ViTDet, arXiv:2203.16527)."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lazycfg.layers import CNNBlockBase, Conv2d, get_norm
from lazycfg.layers.weight_init import c2_msra_fill

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


class Attention(nn.Module):
    """Multi-head self-attention over a map of tokens, (B, H, W, dim) -> (B, H, W, dim).

    Args:
        use_rel_pos: add decomposed relative positions.
        rel_pos_zero_init: start them at zero instead of at random.
        input_size: (H, W) in tokens that the tables of relative positions are made for; other sizes are
            served by interpolation. Needed with `use_rel_pos`.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int = 8,
        qkv_bias: bool = True,
        use_rel_pos: bool = False,
        rel_pos_zero_init: bool = True,
        input_size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.use_rel_pos = use_rel_pos
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        if use_rel_pos:
            if input_size is None:
                raise ValueError("Attention: use_rel_pos needs input_size, the map's (H, W) in tokens")
            head_dim = dim // num_heads
            self.rel_pos_h = rel_pos_table(2 * input_size[0] - 1, head_dim, zero_init=rel_pos_zero_init)
            self.rel_pos_w = rel_pos_table(2 * input_size[1] - 1, head_dim, zero_init=rel_pos_zero_init)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (B, H, W, dim), or (B, N, dim) without relative positions, to the same shape."""
        if x.dim() == 3:
            return self.forward(x[:, :, None])[:, :, 0]
        B, H, W, _ = x.shape
        qkv = self.qkv(x).view(B, H * W, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        if self.use_rel_pos:
            x = rel_pos_attention(q, k, v, self.rel_pos_h, self.rel_pos_w, (H, W), (H, W))
        else:
            x = F.scaled_dot_product_attention(q, k, v)
        return self.proj(x.transpose(1, 2).reshape(B, H, W, -1))


class ResBottleneckBlock(CNNBlockBase):
    """1x1, 3x3 and 1x1 convolutions with a residual connection that starts as the identity.

    Args:
        norm: name or callable of `get_norm`.
        act_layer: makes the activations.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        bottleneck_channels: int,
        norm: str | Callable[[int], nn.Module] = "LN",
        act_layer: Callable[[], nn.Module] = nn.GELU,
    ) -> None:
        super().__init__(in_channels, out_channels, 1)
        self.conv1 = Conv2d(in_channels, bottleneck_channels, 1, bias=False)
        self.norm1 = get_norm(norm, bottleneck_channels)
        self.act1 = act_layer()
        self.conv2 = Conv2d(bottleneck_channels, bottleneck_channels, 3, padding=1, bias=False)
        self.norm2 = get_norm(norm, bottleneck_channels)
        self.act2 = act_layer()
        self.conv3 = Conv2d(bottleneck_channels, out_channels, 1, bias=False)
        self.norm3 = get_norm(norm, out_channels)
        for conv in (self.conv1, self.conv2, self.conv3):
            c2_msra_fill(conv)
        for layer, value in ((self.norm1, 1.0), (self.norm2, 1.0), (self.norm3, 0.0)):
            nn.init.constant_(layer.weight, value)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        out = self.act1(self.norm1(self.conv1(x)))
        out = self.act2(self.norm2(self.conv2(out)))
        return x + self.norm3(self.conv3(out))


class LayerScale(nn.Module):
    """Multiplies each channel of (..., dim) by a learned factor, at first a small one (arXiv:2103.17239)."""

    def __init__(self, dim: int, init_value: float = 1e-5) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((dim,), init_value))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., dim) to the same shape."""
        return x * self.gamma


class Block(nn.Module):
    """A transformer block over a map of tokens (B, H, W, dim), its attention global or within windows.

    Args:
        window_size: side of the windows in tokens; 0 is global attention.
        use_residual_block: append a convolutional `ResBottleneckBlock`.
        input_size: (H, W) of the map in tokens, for the relative positions of global attention.
        The others are those of `ViT`.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        drop_path: float = 0.0,
        norm_layer: NormLayer = nn.LayerNorm,
        act_layer: Callable[[], nn.Module] = nn.GELU,
        use_rel_pos: bool = False,
        rel_pos_zero_init: bool = True,
        window_size: int = 0,
        use_residual_block: bool = False,
        input_size: tuple[int, int] | None = None,
        layer_scale: bool = False,
    ) -> None:
        super().__init__()
        self.window_size = window_size
        self.norm1 = norm_layer(dim)
        self.attn = Attention(
            dim,
            num_heads=num_heads,
            qkv_bias=qkv_bias,
            use_rel_pos=use_rel_pos,
            rel_pos_zero_init=rel_pos_zero_init,
            input_size=(window_size, window_size) if window_size else input_size,
        )
        self.ls1 = LayerScale(dim) if layer_scale else nn.Identity()
        self.ls2 = LayerScale(dim) if layer_scale else nn.Identity()
        self.drop_path = DropPath(drop_path)
        self.norm2 = norm_layer(dim)
        self.mlp = Mlp(dim, hidden_features=int(dim * mlp_ratio), act_layer=act_layer)
        self.use_residual_block = use_residual_block
        if use_residual_block:
            self.residual = ResBottleneckBlock(dim, dim, dim // 2, norm="LN", act_layer=act_layer)

    def forward(self, x: Tensor) -> Tensor:
        """Map tokens (B, H, W, dim), or (B, N, dim) with global attention, to the same shape."""
        y = self.norm1(x)
        if self.window_size:
            windows, pad_hw = window_partition(y, self.window_size)
            y = window_unpartition(self.attn(windows), self.window_size, pad_hw, (x.shape[1], x.shape[2]))
        else:
            y = self.attn(y)
        x = x + self.drop_path(self.ls1(y))
        x = x + self.drop_path(self.ls2(self.mlp(self.norm2(x))))
        if self.use_residual_block:
            x = self.residual(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return x


class ViT(Backbone):
    """Plain vision transformer with one feature map, most of its attention within windows.

    Args:
        img_size: side of the images in pixels that global relative positions are made for; any other size
            works too.
        patch_size: side of a patch in pixels; the stride of the feature map.
        in_chans: channels of the images.
        embed_dim, depth, num_heads: width, number of blocks, attention heads.
        mlp_ratio: hidden width of the MLPs over `embed_dim`.
        qkv_bias: give the projections to query, key and value a bias.
        drop_path_rate: stochastic depth of the last block; the others' rises linearly to it.
        norm_layer, act_layer: make the normalisations (from the width) and the activations.
        use_abs_pos: add learned absolute positions, interpolated from the pretraining grid.
        use_rel_pos, rel_pos_zero_init: decomposed relative positions in the attention.
        window_size: side of the attention windows in tokens.
        window_block_indexes: blocks whose attention is windowed; the others' is global.
        residual_block_indexes: blocks followed by a convolutional residual block.
        use_act_checkpoint: compute the blocks' activations again in the backward pass.
        pretrain_img_size, pretrain_use_cls_token: the pretraining grid of `use_abs_pos`: side of the images
            in pixels, and whether a class token comes first.
        out_feature: name of the feature map.
        class_token, num_registers: tokens that attend beside the map and are left out at the end: the class
            token and registers (arXiv:2309.16588) of the pretraining. With global attention and no relative
            positions only.
        layer_scale: scale the branches of the blocks by learned factors, as DINOv2 does.
        final_norm: normalise the map.
    """

    def __init__(
        self,
        *,
        img_size: int = 1024,
        patch_size: int = 16,
        in_chans: int = 3,
        embed_dim: int = 768,
        depth: int = 12,
        num_heads: int = 12,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = True,
        drop_path_rate: float = 0.0,
        norm_layer: NormLayer = nn.LayerNorm,
        act_layer: Callable[[], nn.Module] = nn.GELU,
        use_abs_pos: bool = True,
        use_rel_pos: bool = False,
        rel_pos_zero_init: bool = True,
        window_size: int = 0,
        window_block_indexes: Sequence[int] = (),
        residual_block_indexes: Sequence[int] = (),
        use_act_checkpoint: bool = False,
        pretrain_img_size: int = 224,
        pretrain_use_cls_token: bool = True,
        out_feature: str = "last_feat",
        class_token: bool = False,
        num_registers: int = 0,
        layer_scale: bool = False,
        final_norm: bool = False,
    ) -> None:
        super().__init__()
        self.pretrain_use_cls_token = pretrain_use_cls_token
        self.use_act_checkpoint = use_act_checkpoint
        patch = (patch_size, patch_size)
        self.patch_embed = PatchEmbed(patch, patch, in_chans=in_chans, embed_dim=embed_dim)
        self.pos_embed: nn.Parameter | None = None
        if use_abs_pos:
            self.pos_embed = abs_pos_table(pretrain_img_size, patch, pretrain_use_cls_token, embed_dim)
        tokens = int(class_token) + num_registers
        if tokens and (use_rel_pos or residual_block_indexes or (window_size and window_block_indexes)):
            raise ValueError(
                "class_token and num_registers are no part of the map: they need use_rel_pos=False, and no "
                "window_block_indexes or residual_block_indexes"
            )
        self.cls_token = nn.Parameter(torch.zeros(1, 1, embed_dim)) if class_token else None
        self.register_tokens: nn.Parameter | None = None
        if num_registers:
            self.register_tokens = nn.Parameter(torch.zeros(1, num_registers, embed_dim))
        self.num_tokens = tokens
        self.norm = norm_layer(embed_dim) if final_norm else None
        rates = drop_path_rates(drop_path_rate, depth)
        side = img_size // patch_size
        self.blocks = nn.ModuleList(
            Block(
                embed_dim,
                num_heads,
                mlp_ratio=mlp_ratio,
                qkv_bias=qkv_bias,
                drop_path=rates[i],
                norm_layer=norm_layer,
                act_layer=act_layer,
                use_rel_pos=use_rel_pos,
                rel_pos_zero_init=rel_pos_zero_init,
                window_size=window_size if i in window_block_indexes else 0,
                use_residual_block=i in residual_block_indexes,
                input_size=(side, side),
                layer_scale=layer_scale,
            )
            for i in range(depth)
        )
        self._out_features = [out_feature]
        self._out_feature_channels = {out_feature: embed_dim}
        self._out_feature_strides = {out_feature: patch_size}
        self.apply(init_transformer_weights)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Images (B, C, H, W) -> one map (B, embed_dim, H // patch_size, W // patch_size)."""
        x = self.patch_embed(x)
        if self.pos_embed is not None:
            x = x + get_abs_pos(self.pos_embed, self.pretrain_use_cls_token, (x.shape[1], x.shape[2]))
        _, H, W, _ = x.shape
        if self.num_tokens:
            x = self._with_tokens(x)
        for block in self.blocks:
            x = run_block(block, x, use_checkpoint=self.use_act_checkpoint)
        if self.num_tokens:
            x = x[:, self.num_tokens :].unflatten(1, (H, W))
        if self.norm is not None:
            x = self.norm(x)
        return {self._out_features[0]: x.permute(0, 3, 1, 2)}

    def _with_tokens(self, x: Tensor) -> Tensor:
        """Return the map (B, H, W, C) as tokens (B, N + H * W, C), the class token and registers first."""
        tokens = []
        if self.cls_token is not None:
            token = self.cls_token
            if self.pos_embed is not None and self.pretrain_use_cls_token:
                token = token + self.pos_embed[:, :1]
            tokens.append(token)
        if self.register_tokens is not None:
            tokens.append(self.register_tokens)
        return torch.cat([*(token.expand(len(x), -1, -1) for token in tokens), x.flatten(1, 2)], dim=1)


def get_vit_lr_decay_rate(name: str, lr_decay_rate: float = 1.0, num_layers: int = 12) -> float:
    """Factor of a ViT parameter's learning rate: `lr_decay_rate` to the power of its distance from the top.

    Args:
        name: the parameter's name in the whole model, "backbone...." for those of the ViT.
        lr_decay_rate: decay from one block to the one below.
        num_layers: number of blocks.
    """
    layer = num_layers + 1
    if name.startswith("backbone"):
        if ".pos_embed" in name or ".patch_embed" in name:
            layer = 0
        elif ".blocks." in name and ".residual." not in name:
            layer = int(name.split(".blocks.", 1)[1].split(".", 1)[0]) + 1
    return lr_decay_rate ** (num_layers + 1 - layer)
