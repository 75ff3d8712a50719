"""RegNet backbones: networks drawn from a quantised linear rule of widths (arXiv:2003.13678)."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, Self, TypedDict

from torch import Tensor, nn

from lazycfg.layers import CNNBlockBase, get_norm
from lazycfg.utils.suggest import closest

from .backbone import Backbone

Norm = str | Callable[[int], nn.Module]
Activation = Callable[[], nn.Module]


class BlockParams(TypedDict):
    """What the blocks of a stage share: bottleneck ratio, group width in channels, ratio of SE (0: none)."""

    bot_mul: float
    group_w: int
    se_r: float


class BlockClass(Protocol):
    """How a stage makes a block."""

    def __call__(
        self,
        w_in: int,
        w_out: int,
        stride: int,
        norm: Norm,
        activation_class: Activation,
        params: BlockParams,
    ) -> CNNBlockBase: ...


def conv2d(
    w_in: int, w_out: int, k: int, *, stride: int = 1, groups: int = 1, bias: bool = False
) -> nn.Conv2d:
    """A convolution with an odd kernel, padded to keep the size at stride 1."""
    return nn.Conv2d(w_in, w_out, k, stride=stride, padding=(k - 1) // 2, groups=groups, bias=bias)


class ResStem(CNNBlockBase):
    """7x7 convolution of stride 2 and 3x3 max pooling of stride 2, as in ResNet."""

    conv_norm_pairs = (("conv", "bn"),)

    def __init__(self, w_in: int, w_out: int, norm: Norm, activation_class: Activation) -> None:
        super().__init__(w_in, w_out, 4)
        self.conv = conv2d(w_in, w_out, 7, stride=2)
        self.bn = get_norm(norm, w_out)
        self.af = activation_class()
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.af(self.bn(self.conv(x))))


class SimpleStem(CNNBlockBase):
    """3x3 convolution of stride 2."""

    conv_norm_pairs = (("conv", "bn"),)

    def __init__(self, w_in: int, w_out: int, norm: Norm, activation_class: Activation) -> None:
        super().__init__(w_in, w_out, 2)
        self.conv = conv2d(w_in, w_out, 3, stride=2)
        self.bn = get_norm(norm, w_out)
        self.af = activation_class()

    def forward(self, x: Tensor) -> Tensor:
        return self.af(self.bn(self.conv(x)))


class SE(nn.Module):
    """Squeeze and excitation: channels are weighed by what a small network sees of their means."""

    def __init__(self, w_in: int, w_se: int, activation_class: Activation) -> None:
        super().__init__()
        self.avg_pool = nn.AdaptiveAvgPool2d((1, 1))
        self.f_ex = nn.Sequential(
            conv2d(w_in, w_se, 1, bias=True),
            activation_class(),
            conv2d(w_se, w_in, 1, bias=True),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.f_ex(self.avg_pool(x))


class VanillaBlock(CNNBlockBase):
    """Two 3x3 convolutions, no residual connection."""

    conv_norm_pairs = (("a", "a_bn"), ("b", "b_bn"))

    def __init__(
        self,
        w_in: int,
        w_out: int,
        stride: int,
        norm: Norm,
        activation_class: Activation,
        params: BlockParams,
    ) -> None:
        super().__init__(w_in, w_out, stride)
        self.a = conv2d(w_in, w_out, 3, stride=stride)
        self.a_bn = get_norm(norm, w_out)
        self.a_af = activation_class()
        self.b = conv2d(w_out, w_out, 3)
        self.b_bn = get_norm(norm, w_out)
        self.b_af = activation_class()

    def forward(self, x: Tensor) -> Tensor:
        x = self.a_af(self.a_bn(self.a(x)))
        return self.b_af(self.b_bn(self.b(x)))


class BasicTransform(nn.Module):
    """Two 3x3 convolutions: the residual branch of `ResBasicBlock`."""

    conv_norm_pairs = (("a", "a_bn"), ("b", "b_bn"))

    def __init__(
        self,
        w_in: int,
        w_out: int,
        stride: int,
        norm: Norm,
        activation_class: Activation,
        params: BlockParams,
    ) -> None:
        super().__init__()
        self.a = conv2d(w_in, w_out, 3, stride=stride)
        self.a_bn = get_norm(norm, w_out)
        self.a_af = activation_class()
        self.b = conv2d(w_out, w_out, 3)
        self.b_bn = get_norm(norm, w_out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.a_af(self.a_bn(self.a(x)))
        return self.b_bn(self.b(x))


class BottleneckTransform(nn.Module):
    """1x1, grouped 3x3, optional SE, 1x1: the residual branch of `ResBottleneckBlock`."""

    conv_norm_pairs = (("a", "a_bn"), ("b", "b_bn"), ("c", "c_bn"))

    def __init__(
        self,
        w_in: int,
        w_out: int,
        stride: int,
        norm: Norm,
        activation_class: Activation,
        params: BlockParams,
    ) -> None:
        super().__init__()
        w_b = round(w_out * params["bot_mul"])
        w_se = round(w_in * params["se_r"])
        self.a = conv2d(w_in, w_b, 1)
        self.a_bn = get_norm(norm, w_b)
        self.a_af = activation_class()
        self.b = conv2d(w_b, w_b, 3, stride=stride, groups=w_b // params["group_w"])
        self.b_bn = get_norm(norm, w_b)
        self.b_af = activation_class()
        self.se = SE(w_b, w_se, activation_class) if w_se else None
        self.c = conv2d(w_b, w_out, 1)
        self.c_bn = get_norm(norm, w_out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.a_af(self.a_bn(self.a(x)))
        x = self.b_af(self.b_bn(self.b(x)))
        if self.se is not None:
            x = self.se(x)
        return self.c_bn(self.c(x))


class _ResBlock(CNNBlockBase):
    """A residual branch `f` beside the identity, or beside a projection where size or width change."""

    conv_norm_pairs = (("proj", "bn"),)
    transform: type[BasicTransform] | type[BottleneckTransform]

    def __init__(
        self,
        w_in: int,
        w_out: int,
        stride: int,
        norm: Norm,
        activation_class: Activation,
        params: BlockParams,
    ) -> None:
        super().__init__(w_in, w_out, stride)
        self.proj = self.bn = None
        if w_in != w_out or stride != 1:
            self.proj = conv2d(w_in, w_out, 1, stride=stride)
            self.bn = get_norm(norm, w_out)
        self.f = self.transform(w_in, w_out, stride, norm, activation_class, params)
        self.af = activation_class()

    def forward(self, x: Tensor) -> Tensor:
        skip = x if self.proj is None else self.bn(self.proj(x))
        return self.af(skip + self.f(x))


class ResBasicBlock(_ResBlock):
    """Residual block of two 3x3 convolutions."""

    transform = BasicTransform


class ResBottleneckBlock(_ResBlock):
    """Residual bottleneck block with grouped convolution: the X block; with SE, the Y block."""

    transform = BottleneckTransform


class AnyStage(nn.Module):
    """`d` blocks "b1", "b2", ...: the first has `stride`, all give `w_out` channels."""

    def __init__(
        self,
        w_in: int,
        w_out: int,
        stride: int,
        d: int,
        block_class: BlockClass,
        norm: Norm,
        activation_class: Activation,
        params: BlockParams,
    ) -> None:
        super().__init__()
        for i in range(d):
            width, step = (w_in, stride) if i == 0 else (w_out, 1)
            self.add_module(f"b{i + 1}", block_class(width, w_out, step, norm, activation_class, params))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.children():
            x = block(x)
        return x


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
    """Widths, bottleneck ratios and group widths, changed a little so that groups divide the bottlenecks.

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
