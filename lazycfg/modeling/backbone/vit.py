"""Plain vision transformer backbones and their feature pyramid (ViTDet, arXiv:2203.16527)."""

import math
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
    drop_path_rates,
    get_abs_pos,
    init_transformer_weights,
    rel_pos_attention,
    run_block,
    square_positions,
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
            self.rel_pos_h = nn.Parameter(torch.zeros(2 * input_size[0] - 1, head_dim))
            self.rel_pos_w = nn.Parameter(torch.zeros(2 * input_size[1] - 1, head_dim))
            if not rel_pos_zero_init:
                nn.init.trunc_normal_(self.rel_pos_h, std=0.02)
                nn.init.trunc_normal_(self.rel_pos_w, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
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
        out = self.act1(self.norm1(self.conv1(x)))
        out = self.act2(self.norm2(self.conv2(out)))
        return x + self.norm3(self.conv3(out))


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
        self.drop_path = DropPath(drop_path)
        self.norm2 = norm_layer(dim)
        self.mlp = Mlp(dim, hidden_features=int(dim * mlp_ratio), act_layer=act_layer)
        self.use_residual_block = use_residual_block
        if use_residual_block:
            self.residual = ResBottleneckBlock(dim, dim, dim // 2, norm="LN", act_layer=act_layer)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(x)
        if self.window_size:
            windows, pad_hw = window_partition(y, self.window_size)
            y = window_unpartition(self.attn(windows), self.window_size, pad_hw, (x.shape[1], x.shape[2]))
        else:
            y = self.attn(y)
        x = x + self.drop_path(y)
        x = x + self.drop_path(self.mlp(self.norm2(x)))
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
    ) -> None:
        super().__init__()
        self.pretrain_use_cls_token = pretrain_use_cls_token
        self.use_act_checkpoint = use_act_checkpoint
        patch = (patch_size, patch_size)
        self.patch_embed = PatchEmbed(patch, patch, in_chans=in_chans, embed_dim=embed_dim)
        if use_abs_pos:
            positions = square_positions(pretrain_img_size, patch, pretrain_use_cls_token)
            self.pos_embed = nn.Parameter(torch.zeros(1, positions, embed_dim))
            nn.init.trunc_normal_(self.pos_embed, std=0.02)
        else:
            self.pos_embed = None
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
        for block in self.blocks:
            x = run_block(block, x, use_checkpoint=self.use_act_checkpoint)
        return {self._out_features[0]: x.permute(0, 3, 1, 2)}


class SimpleFeaturePyramid(Backbone):
    """A feature pyramid from one feature map: the map scaled up and down, no top-down path.

    Args:
        net: the network that gives the map.
        in_feature: name of the map in its output.
        out_channels: channels of every level.
        scale_factors: of each level relative to the map, any of 4.0, 2.0, 1.0, 0.5. Levels are named
            "p<log2(stride)>".
        top_block: makes further levels from the coarsest one, or from an output of `net`; has `in_feature`
            and `num_levels`.
        norm: name or callable of `get_norm`; "" for none.
        square_pad: pad the images to squares of this side in pixels; 0 for as needed.
    """

    def __init__(
        self,
        *,
        net: Backbone,
        in_feature: str,
        out_channels: int,
        scale_factors: Sequence[float],
        top_block: nn.Module | None = None,
        norm: str | Callable[[int], nn.Module] = "LN",
        square_pad: int = 0,
    ) -> None:
        super().__init__()
        shape = net.output_shape()[in_feature]
        if shape.channels is None or shape.stride is None:
            raise ValueError(f"SimpleFeaturePyramid: channels and stride of {in_feature!r} must be known")
        self.in_feature = in_feature
        strides = [int(shape.stride / scale) for scale in scale_factors]
        names = [f"p{int(math.log2(stride))}" for stride in strides]
        for scale, name in zip(scale_factors, names, strict=True):
            level = _pyramid_level(shape.channels, out_channels, scale, norm)
            self.add_module(f"simfp_{name[1:]}", nn.Sequential(*level))
        self.net = net
        self.top_block = top_block
        self._out_features = list(names)
        self._out_feature_strides = dict(zip(names, strides, strict=True))
        if top_block is not None:
            last = int(math.log2(strides[-1]))
            for level in range(last + 1, last + 1 + top_block.num_levels):
                self._out_features.append(f"p{level}")
                self._out_feature_strides[f"p{level}"] = 2**level
        self._out_feature_channels = dict.fromkeys(self._out_features, out_channels)
        self._num_own = len(names)
        self._size_divisibility = strides[-1]
        self._square_pad = square_pad

    @property
    def size_divisibility(self) -> int:
        return self._size_divisibility

    @property
    def padding_constraints(self) -> dict[str, int]:
        return {"size_divisibility": self._size_divisibility, "square_size": self._square_pad}

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Images (N, C, H, W) -> maps by name, each (N, out_channels, H / stride, W / stride)."""
        bottom_up = self.net(x)
        features = bottom_up[self.in_feature]
        names = self._out_features
        results = [getattr(self, f"simfp_{name[1:]}")(features) for name in names[: self._num_own]]
        if self.top_block is not None:
            source = self.top_block.in_feature
            top = bottom_up[source] if source in bottom_up else results[names.index(source)]
            results.extend(self.top_block(top))
        return dict(zip(names, results, strict=True))


def _pyramid_level(
    dim: int, out_channels: int, scale: float, norm: str | Callable[[int], nn.Module]
) -> list[nn.Module]:
    layers: list[nn.Module]
    if scale == 4.0:
        layers = [
            nn.ConvTranspose2d(dim, dim // 2, kernel_size=2, stride=2),
            get_norm(norm, dim // 2) or nn.Identity(),
            nn.GELU(),
            nn.ConvTranspose2d(dim // 2, dim // 4, kernel_size=2, stride=2),
        ]
        dim = dim // 4
    elif scale == 2.0:
        layers = [nn.ConvTranspose2d(dim, dim // 2, kernel_size=2, stride=2)]
        dim = dim // 2
    elif scale == 1.0:
        layers = []
    elif scale == 0.5:
        layers = [nn.MaxPool2d(kernel_size=2, stride=2)]
    else:
        raise ValueError(f"SimpleFeaturePyramid: scale factor {scale} is not one of 4.0, 2.0, 1.0, 0.5")
    bias = norm == ""
    return [
        *layers,
        Conv2d(dim, out_channels, 1, bias=bias, norm=get_norm(norm, out_channels)),
        Conv2d(out_channels, out_channels, 3, padding=1, bias=bias, norm=get_norm(norm, out_channels)),
    ]


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
