"""The feature pyramid of plain backbones (ViTDet, arXiv:2203.16527)."""

import math
from collections.abc import Callable, Sequence

from torch import Tensor, nn

from lazycfg.layers import Conv2d, get_norm

from .backbone import Backbone


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
        """Return the number of pixels that the sides of images must be multiples of."""
        return self._size_divisibility

    @property
    def padding_constraints(self) -> dict[str, int]:
        """Return what `ImageList.from_tensors` has to keep to: the divisor, and the square size if there is
        one.
        """
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
