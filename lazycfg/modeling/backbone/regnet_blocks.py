"""The stems, blocks and stages of RegNets (arXiv:2003.13678)."""

from collections.abc import Callable
from typing import Protocol, TypedDict

from torch import Tensor, nn

from lazycfg.layers import CNNBlockBase, get_norm

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
    """Return a convolution with an odd kernel, padded to keep the size at stride 1."""
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
        """Map images (N, C, H, W) to (N, out_channels, H / 4, W / 4)."""
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
        """Map images (N, C, H, W) to (N, out_channels, H / 2, W / 2)."""
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
        """Weigh the channels of a map (N, C, H, W) by what its mean says of them; same shape."""
        return x * self.f_ex(self.avg_pool(x))


class BasicTransform(CNNBlockBase):
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
        super().__init__(w_in, w_out, stride)
        self.a = conv2d(w_in, w_out, 3, stride=stride)
        self.a_bn = get_norm(norm, w_out)
        self.a_af = activation_class()
        self.b = conv2d(w_out, w_out, 3)
        self.b_bn = get_norm(norm, w_out)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, Cin, H, W) to (N, Cout, H / stride, W / stride)."""
        x = self.a_af(self.a_bn(self.a(x)))
        return self.b_bn(self.b(x))


class VanillaBlock(BasicTransform):
    """The two convolutions with an activation behind them, no residual connection."""

    def __init__(
        self,
        w_in: int,
        w_out: int,
        stride: int,
        norm: Norm,
        activation_class: Activation,
        params: BlockParams,
    ) -> None:
        super().__init__(w_in, w_out, stride, norm, activation_class, params)
        self.b_af = activation_class()

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, Cin, H, W) to (N, Cout, H / stride, W / stride)."""
        return self.b_af(super().forward(x))


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
        """Map (N, Cin, H, W) to (N, Cout, H / stride, W / stride)."""
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
        """Map (N, Cin, H, W) to (N, Cout, H / stride, W / stride): the sum of residual and shortcut,
        rectified.
        """
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
        """Map (N, Cin, H, W) to (N, Cout, H / stride, W / stride)."""
        for block in self.children():
            x = block(x)
        return x
