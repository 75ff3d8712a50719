"""RegNet backbones: networks drawn from a quantised linear rule of widths (arXiv:2003.13678)."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Self

from torch import Tensor, nn

from lazycfg.layers import CNNBlockBase
from lazycfg.utils.suggest import closest

from .backbone import Backbone
from .regnet_blocks import (
    Activation,
    AnyStage,
    BlockClass,
    BlockParams,
    Norm,
    ResBasicBlock,
    ResBottleneckBlock,
    ResStem,
    SimpleStem,
    VanillaBlock,
)

__all__ = ["AnyNet", "RegNet", "ResBasicBlock", "ResBottleneckBlock", "ResStem", "SimpleStem", "VanillaBlock"]


class AnyNet(Backbone):
    """A stem and stages of equal blocks, of any widths and depths.

    Args:
        stem_class: makes the stem from (3, `stem_width`, `norm`, `activation_class`).
        stem_width: its channels.
        block_class: makes the blocks, see `BlockClass`.
        depths, widths, group_widths, strides, bottleneck_ratios: of each stage: number of blocks, channels,
            channels of a group of the 3x3 convolution, stride, bottleneck width over the stage's width.
        se_ratio: width of the squeeze over the block's input width; 0 for no squeeze-and-excitation.
        activation_class: makes the activations; ReLU by default.
        freeze_at: number of parts, from the stem on, that do not train: 1 is the stem, 2 the first stage too.
        norm: name or callable of `get_norm`.
        out_features: names of "stem", "s1", "s2", ... to return; the last stage by default.
    """

    def __init__(
        self,
        *,
        stem_class: Callable[[int, int, Norm, Activation], CNNBlockBase],
        stem_width: int,
        block_class: BlockClass,
        depths: Sequence[int],
        widths: Sequence[int],
        group_widths: Sequence[int],
        strides: Sequence[int],
        bottleneck_ratios: Sequence[float],
        se_ratio: float,
        activation_class: Activation | None = None,
        freeze_at: int = 0,
        norm: Norm = "BN",
        out_features: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        activation_class = activation_class or partial(nn.ReLU, inplace=True)
        self.stem = stem_class(3, stem_width, norm, activation_class)
        width, stride = stem_width, self.stem.stride
        self._out_feature_channels = {"stem": width}
        self._out_feature_strides = {"stem": stride}
        self._stage_names: list[str] = []
        stages = zip(depths, widths, strides, bottleneck_ratios, group_widths, strict=True)
        for i, (depth, w_out, step, ratio, group_width) in enumerate(stages, start=1):
            params = BlockParams(bot_mul=ratio, group_w=group_width, se_r=se_ratio)
            stage = AnyStage(width, w_out, step, depth, block_class, norm, activation_class, params)
            name = f"s{i}"
            self.add_module(name, stage)
            self._stage_names.append(name)
            width, stride = w_out, stride * step
            self._out_feature_channels[name] = width
            self._out_feature_strides[name] = stride
        known = ["stem", *self._stage_names]
        self._out_features = list(out_features) if out_features is not None else [self._stage_names[-1]]
        for name in self._out_features:
            if name not in known:
                raise ValueError(f"out_features: no {name!r}, expected of {known}{closest(name, known)}")
        self.apply(_init_weights)
        self.freeze(freeze_at)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Images (N, 3, H, W) -> maps by name, each (N, channels, H / stride, W / stride)."""
        outputs = {}
        x = self.stem(x)
        if "stem" in self._out_features:
            outputs["stem"] = x
        for name in self._stage_names:
            x = getattr(self, name)(x)
            if name in self._out_features:
                outputs[name] = x
        return outputs

    def freeze(self, freeze_at: int = 0) -> Self:
        """Stop training of the first `freeze_at` parts (1: the stem, 2: the first stage too, ...)."""
        if freeze_at >= 1:
            self.stem.freeze()
        for name in self._stage_names[: max(freeze_at - 1, 0)]:
            for block in getattr(self, name).children():
                block.freeze()
        return self


def adjust_block_compatibility(
    ws: Sequence[int], bs: Sequence[float], gs: Sequence[int]
) -> tuple[list[int], list[float], list[int]]:
    """Adjust widths, bottleneck ratios and group widths slightly, so that groups divide the bottlenecks.

    Raises:
        ValueError: lists of different lengths, a number that is not positive, or no such width nearby.
    """
    widths, groups = [], []
    for w, b, g in zip(ws, bs, gs, strict=True):
        if min(w, b, g) <= 0:
            raise ValueError(f"width {w}, bottleneck ratio {b}, group width {g}: expected positive numbers")
        bottleneck = int(max(1, w * b))
        group = int(min(g, bottleneck))
        multiple = math.lcm(group, int(b)) if b > 1 else group
        bottleneck = max(multiple, round(bottleneck / multiple) * multiple)
        width = int(bottleneck / b)
        if width * b % group:
            raise ValueError(
                f"width {w}, bottleneck ratio {b}: not divisible into groups of {group} channels"
            )
        widths.append(width)
        groups.append(group)
    return widths, list(bs), groups


def generate_regnet_parameters(
    w_a: float, w_0: int, w_m: float, d: int, q: int = 8
) -> tuple[list[int], list[int], int, int, list[int], list[float]]:
    """Widths and depths of the stages from the linear rule ``w_0 + w_a * block``, quantised.

    Args:
        w_a, w_0, w_m: slope, first width, and width multiplier between stages.
        d: number of blocks.
        q: widths are multiples of it.

    Returns:
        widths and depths of the stages, their number, the number that quantisation could give, and the
        widths of all blocks, quantised and continuous.

    Raises:
        ValueError: the numbers give no stages.
    """
    if w_a < 0 or w_0 <= 0 or w_m <= 1 or w_0 % q:
        rule = f"w_a >= 0, w_0 a positive multiple of {q}, w_m > 1"
        raise ValueError(f"RegNet: expected {rule}; not w_a={w_a}, w_0={w_0}, w_m={w_m}")
    continuous = [w_0 + w_a * i for i in range(d)]
    ks = [round(math.log(w / w_0) / math.log(w_m)) for w in continuous]
    all_widths = [round(w_0 * w_m**k / q) * q for k in ks]
    widths = sorted(set(all_widths))
    depths = [all_widths.count(w) for w in widths]
    return widths, depths, len(widths), max(ks) + 1, all_widths, continuous


class RegNet(AnyNet):
    """An `AnyNet` whose widths and depths follow from a rule of four numbers.

    Args:
        depth, w_a, w_0, w_m: number of blocks, slope, first width, width multiplier; see
            `generate_regnet_parameters`.
        group_width: channels of a group of the 3x3 convolutions.
        stride, bottleneck_ratio: of every stage.
        The others are those of `AnyNet`.
    """

    def __init__(
        self,
        *,
        stem_class: Callable[[int, int, Norm, Activation], CNNBlockBase],
        stem_width: int,
        block_class: BlockClass,
        depth: int,
        w_a: float,
        w_0: int,
        w_m: float,
        group_width: int,
        stride: int = 2,
        bottleneck_ratio: float = 1.0,
        se_ratio: float = 0.0,
        activation_class: Activation | None = None,
        freeze_at: int = 0,
        norm: Norm = "BN",
        out_features: Sequence[str] | None = None,
    ) -> None:
        widths, depths = generate_regnet_parameters(w_a, w_0, w_m, depth)[:2]
        n = len(widths)
        widths, ratios, groups = adjust_block_compatibility(widths, [bottleneck_ratio] * n, [group_width] * n)
        super().__init__(
            stem_class=stem_class,
            stem_width=stem_width,
            block_class=block_class,
            depths=depths,
            widths=widths,
            group_widths=groups,
            strides=[stride] * n,
            bottleneck_ratios=ratios,
            se_ratio=se_ratio,
            activation_class=activation_class,
            freeze_at=freeze_at,
            norm=norm,
            out_features=out_features,
        )


def _init_weights(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        # the reference's fan-out leaves the groups out of account
        fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
        nn.init.normal_(module.weight, mean=0.0, std=math.sqrt(2.0 / fan_out))
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.ones_(module.weight)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, mean=0.0, std=0.01)
        nn.init.zeros_(module.bias)
