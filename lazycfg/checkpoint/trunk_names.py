"""The names of vision transformers: timm, MAE, DINOv2, Swin and MViT."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lazycfg.checkpoint.adapter import Adapter, has_keys
from lazycfg.checkpoint.rules import Rule

__all__ = ["TRUNKS", "resized_positions"]


def _same(name: str) -> Rule:
    return Rule(name, name)


_CLASSIFIER = r"(norm|fc_norm|head|head_dist|classifier)\..*"

_PLAIN_VIT = [
    _same("pos_embed"),
    _same("cls_token"),
    Rule("reg_token", "register_tokens"),  # timm's name
    _same("register_tokens"),  # DINOv2's
    _same("patch_embed.proj.*"),
    _same("blocks.#.*"),
    _same("norm.*"),
]
_VIT_REASONS = {
    r"blocks\.\d+\.ls[12]\.gamma": "its branches are scaled: write layer_scale=True in the ViT of the model",
    r"blocks\.\d+\.(mlp|ffn)\.(w12|w3|fc1_g|fc1_x)\..*": "its MLPs are gated (SwiGLU), those of ViT are not",
    r"blocks\.\d+\.attn\.[qk]_norm\..*": "it normalises queries and keys, which ViT does not",
    r"blocks\.\d+\.attn\.[qv]_bias": "its queries and values have biases of their own (BEiT, EVA)",
    r"blocks\.\d+\.gamma_[12]": "its branches are scaled under names of BEiT, which are not known",
    r"norm_pre\..*": "it normalises before the first block, which ViT does not",
    r"blocks\.\d+\.\d+\..*": "its blocks are in chunks, as those of DINOv2 while it is trained",
}

_SWIN_RULES = [
    _same("patch_embed.*"),
    _same("absolute_pos_embed"),
    _same("layers.#.blocks.#.*"),
]
_SWIN_REASONS = {
    r"layers\.\d+\.blocks\.\d+\.attn\.(cpb_mlp|logit_scale|q_bias|v_bias).*": "it is a Swin of version "
    "2, and SwinTransformer is of version 1",
}
# timm's downsampling begins a stage, ours and the authors' ends the one before
_TIMM_SWIN_RULES = [
    *_SWIN_RULES,
    *(Rule(f"layers.{i + 1}.downsample.*", f"layers.{i}.downsample.*") for i in range(7)),
]
_TABLE = "layers.0.blocks.0.attn.relative_position_bias_table"

_MVIT_REASONS = {
    r"cls_positional_encoding\..*|patch_embed\.patch_model\..*": "its names are those of PyTorchVideo's "
    "MViT, whose convolutions are of videos",
}


TRUNKS = (
    Adapter(
        name="vit",
        rules=_PLAIN_VIT,
        recognises=has_keys("patch_embed.proj.weight", "blocks.0.attn.qkv.weight", "blocks.0.mlp.fc1.weight",
                            without=["blocks.0.attn.pool_q.weight"]),
        harmless=rf"{_CLASSIFIER}|cls_token|mask_token|decoder_.*",
        not_in_file=[r"blocks\.\d+\.attn\.rel_pos_[hw]", r"blocks\.\d+\.residual\..*"],
        reasons=_VIT_REASONS,
        has_positions=True,
    ),
    Adapter(
        name="swin",
        rules=[*_SWIN_RULES, _same("layers.#.downsample.*")],
        recognises=has_keys(_TABLE, without=["layers.3.downsample.norm.weight"]),
        harmless=rf"{_CLASSIFIER}|.*\.attn_mask",
        computed=r".*\.relative_position_index",
        not_in_file=[r"norm\d\..*"],
        reasons=_SWIN_REASONS,
        has_positions=True,
    ),
    Adapter(
        name="timm-swin",
        rules=_TIMM_SWIN_RULES,
        recognises=has_keys(
            _TABLE, "layers.3.downsample.norm.weight", without=["layers.0.downsample.norm.weight"]
        ),
        harmless=rf"{_CLASSIFIER}|.*\.attn_mask",
        computed=r".*\.relative_position_index",
        not_in_file=[r"norm\d\..*"],
        reasons=_SWIN_REASONS,
        has_positions=True,
    ),
    Adapter(
        name="mvit",
        rules=[_same("patch_embed.*"), _same("pos_embed"), _same("blocks.#.*")],
        recognises=has_keys("patch_embed.proj.weight", "blocks.0.attn.pool_q.weight"),
        harmless=rf"{_CLASSIFIER}|cls_token",
        not_in_file=[r"scale\d_norm\..*"],
        reasons=_MVIT_REASONS,
        has_positions=True,
    ),
)  # fmt: skip


def resized_positions(name: str, value: Tensor, shape: Sequence[int]) -> tuple[Tensor, str] | None:
    """Return a table of positions in another size, and what was done to it; None if it is not known how.

    Interpolated are absolute positions of a square grid, (1, N, C) with or without a class token and
    (1, C, H, W), and the relative ones of `ViT` (L, C) and of `SwinTransformer` (L, heads).

    Args:
        name: ours.
        value: the table of the file.
        shape: of that of the model.
    """
    leaf = name.rpartition(".")[2]
    resize = next((function for pattern, function in _RESIZE.items() if re.fullmatch(pattern, leaf)), None)
    if resize is None or value.dim() != len(shape):
        return None
    resized = resize(value.float(), shape)
    if resized is None or tuple(resized[0].shape) != tuple(shape):
        return None
    return resized[0].to(value.dtype), f"{resized[1]}, {list(value.shape)} to {list(shape)}"


Resized = tuple[Tensor, str] | None


def _absolute(value: Tensor, shape: Sequence[int]) -> Resized:
    theirs, ours = _grid(value.shape[1]), _grid(shape[1])
    if theirs is None or ours is None or value.shape[2] != shape[2]:
        return None
    (side, of_file), (wanted, of_model) = theirs, ours
    token, grid = value[:, :of_file], value[:, of_file:]
    said = []
    if side != wanted:
        grid = (
            _bicubic(grid.transpose(1, 2).unflatten(2, (side, side)), (wanted, wanted))
            .flatten(2)
            .transpose(1, 2)
        )
        said.append(f"interpolated from {side} x {side} to {wanted} x {wanted}")
    if of_file != of_model:
        token = grid.new_zeros(1, of_model, grid.shape[2])
        said.append("a zero for the class token" if of_model else "without that of the class token")
    return torch.cat([token, grid], dim=1), ", ".join(said)


def _grid(positions: int) -> tuple[int, int] | None:
    """Return the side of a square grid, and how many positions come before it (0 or 1)."""
    for before in (0, 1):
        side = math.isqrt(positions - before)
        if side > 0 and side * side == positions - before:
            return side, before
    return None


def _absolute_map(value: Tensor, shape: Sequence[int]) -> Resized:
    return _bicubic(value, tuple(shape[2:])), "interpolated"


def _relative(value: Tensor, shape: Sequence[int]) -> Resized:
    resized = F.interpolate(value.T[None], size=shape[0], mode="linear")
    return resized[0].T, "interpolated"


def _relative_bias(value: Tensor, shape: Sequence[int]) -> Resized:
    side, wanted = math.isqrt(len(value)), math.isqrt(shape[0])
    if side * side != len(value) or wanted * wanted != shape[0]:
        return None
    table = _bicubic(value.T.unflatten(1, (side, side))[None], (wanted, wanted))
    return table[0].flatten(1).T, "interpolated"


def _bicubic(value: Tensor, size: tuple[int, ...]) -> Tensor:
    return F.interpolate(value, size=size, mode="bicubic", align_corners=False)


_RESIZE: Mapping[str, Callable[[Tensor, Sequence[int]], Resized]] = {
    "pos_embed": _absolute,
    "absolute_pos_embed": _absolute_map,
    "rel_pos_[hw]": _relative,
    "relative_position_bias_table": _relative_bias,
}
