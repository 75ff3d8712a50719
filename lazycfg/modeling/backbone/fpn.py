"""Feature pyramid networks (Lin et al., arXiv:1612.03144)."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import torch.nn.functional as F
from torch import Tensor, nn

from lazycfg.layers import Conv2d, c2_xavier_fill, get_norm
from lazycfg.layers.batch_norm import Norm
from lazycfg.utils.suggest import closest

from .backbone import Backbone


class TopBlock(Protocol):
    """Coarser levels on top of the pyramid.

    Attributes:
        num_levels: how many maps it adds.
        in_feature: name of the map it is given: one of the pyramid's or of the bottom-up network's.
    """

    num_levels: int
    in_feature: str

    def __call__(self, x: Tensor) -> list[Tensor]: ...


class LastLevelMaxPool(nn.Module):
    """P6 as every second pixel of P5, as in the original paper."""

    def __init__(self, in_feature: str = "p5") -> None:
        super().__init__()
        self.num_levels = 1
        self.in_feature = in_feature

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return every second pixel of p5, (N, C, H, W) -> [(N, C, ceil(H / 2), ceil(W / 2))]."""
        return [F.max_pool2d(x, kernel_size=1, stride=2, padding=0)]


class LastLevelP6P7(nn.Module):
    """P6 and P7 by strided convolutions, as in RetinaNet (arXiv:1708.02002)."""

    def __init__(self, in_channels: int, out_channels: int, in_feature: str = "res5") -> None:
        super().__init__()
        self.num_levels = 2
        self.in_feature = in_feature
        self.p6 = nn.Conv2d(in_channels, out_channels, 3, 2, 1)
        self.p7 = nn.Conv2d(out_channels, out_channels, 3, 2, 1)
        c2_xavier_fill(self.p6)
        c2_xavier_fill(self.p7)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Map (N, C, H, W) to p6 and p7, which have half and a quarter of its resolution."""
        p6 = self.p6(x)
        return [p6, self.p7(F.relu(p6))]


class FPN(Backbone):
    """A top-down pathway with lateral connections over a bottom-up network. Its maps are "p2", "p3", ...
    where p<k> has stride 2^k.

    Args:
        bottom_up: a built backbone.
        in_features: names of its maps to take, finest first; strides double from one to the next.
        out_channels: channels of every map of the pyramid.
        norm: of all convolutions, as `get_norm` takes it; without one they have a bias.
        top_block: adds coarser maps; see `TopBlock`.
        fuse_type: "sum" or "avg" of the lateral and the upsampled map.
        square_pad: pads images to squares of this side in pixels; 0 for no such wish.
    """

    def __init__(
        self,
        bottom_up: Backbone,
        in_features: Sequence[str],
        out_channels: int,
        *,
        norm: Norm = "",
        top_block: TopBlock | None = None,
        fuse_type: str = "sum",
        square_pad: int = 0,
    ) -> None:
        super().__init__()
        if fuse_type not in ("sum", "avg"):
            raise ValueError(f"FPN: fuse_type is 'sum' or 'avg', not {fuse_type!r}")
        shapes = bottom_up.output_shape()
        for name in in_features:
            if name not in shapes:
                raise ValueError(
                    f"FPN: the bottom-up network has no map {name!r}, its maps are {list(shapes)}"
                    f"{closest(name, shapes)}"
                )
        if not in_features:
            raise ValueError(f"FPN: in_features is empty, expected some of {list(shapes)}")
        strides = [shapes[name].stride for name in in_features]
        for fine, coarse in itertools.pairwise(strides):
            if coarse != 2 * fine:
                raise ValueError(
                    f"FPN: strides must double, got {dict(zip(in_features, strides, strict=True))}"
                )

        self.stages = [int(math.log2(stride)) for stride in strides]
        for name, stage in zip(in_features, self.stages, strict=True):
            lateral = Conv2d(
                shapes[name].channels,
                out_channels,
                kernel_size=1,
                bias=not norm,
                norm=get_norm(norm, out_channels),
            )
            output = Conv2d(
                out_channels,
                out_channels,
                kernel_size=3,
                padding=1,
                bias=not norm,
                norm=get_norm(norm, out_channels),
            )
            c2_xavier_fill(lateral)
            c2_xavier_fill(output)
            self.add_module(f"fpn_lateral{stage}", lateral)
            self.add_module(f"fpn_output{stage}", output)
        self.top_block = top_block
        self.in_features = tuple(in_features)
        self.bottom_up = bottom_up
        self.fuse_type = fuse_type
        self._square_pad = square_pad

        levels = list(self.stages)
        if top_block is not None:
            levels += [levels[-1] + 1 + i for i in range(top_block.num_levels)]
        self._out_features = [f"p{level}" for level in levels]
        self._out_feature_strides = {f"p{level}": 2**level for level in levels}
        self._out_feature_channels = dict.fromkeys(self._out_features, out_channels)
        self._size_divisibility = strides[-1]

    @property
    def size_divisibility(self) -> int:
        """Return the number of pixels that the sides of images must be multiples of."""
        return self._size_divisibility

    @property
    def padding_constraints(self) -> Mapping[str, int]:
        """Return what `ImageList.from_tensors` has to keep to: the square size, if there is one."""
        return {"square_size": self._square_pad}

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Images (N, C, H, W) -> the maps of the pyramid by name, finest first."""
        bottom_up = self.bottom_up(x)
        outputs: list[Tensor] = []
        top_down: Tensor | None = None
        for name, stage in zip(reversed(self.in_features), reversed(self.stages), strict=True):
            lateral = getattr(self, f"fpn_lateral{stage}")(bottom_up[name])
            if top_down is None:
                top_down = lateral
            else:
                top_down = lateral + F.interpolate(top_down, scale_factor=2.0, mode="nearest")
                if self.fuse_type == "avg":
                    top_down = top_down / 2
            outputs.insert(0, getattr(self, f"fpn_output{stage}")(top_down))
        if self.top_block is not None:
            feature = self.top_block.in_feature
            source = (
                bottom_up[feature] if feature in bottom_up else outputs[self._out_features.index(feature)]
            )
            outputs += self.top_block(source)
        return dict(zip(self._out_features, outputs, strict=True))
