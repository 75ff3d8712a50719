"""HRFPN: a feature pyramid of all branches of an HRNet at once (arXiv:1904.04514)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lazycfg.modeling import Backbone

__all__ = ["HRFPN"]


class HRFPN(Backbone):
    """Brings all maps of a network to its finest stride, concatenates them, and pools levels from that.

    Its maps are "p1", "p2", ..., of the bottom-up network's finest stride and doubling from one to the next.
    The transposed convolutions have no padding and what sticks out is cut off at the right and below, so maps
    are smaller than the image over the stride, and shifted a little: published weights are made for that.

    Args:
        bottom_up: a built backbone.
        in_features: names of its maps to take, finest first; strides double from one to the next.
        n_out_features: levels of the pyramid.
        out_channels: channels of every level.
    """

    def __init__(
        self,
        bottom_up: Backbone,
        in_features: Sequence[str],
        *,
        n_out_features: int = 5,
        out_channels: int = 256,
    ) -> None:
        super().__init__()
        shapes = bottom_up.output_shape()
        missing = [name for name in in_features if name not in shapes]
        if missing or not in_features:
            raise ValueError(f"HRFPN: in_features={list(in_features)}, expected some of {list(shapes)}")
        channels = [shapes[name].channels for name in in_features]
        strides = [shapes[name].stride for name in in_features]
        if strides != [strides[0] * 2**k for k in range(len(strides))]:
            raise ValueError(
                f"HRFPN: strides must double, got {dict(zip(in_features, strides, strict=True))}"
            )
        self.bottom_up = bottom_up
        self.in_features = list(in_features)
        self.n_out_features = n_out_features
        self.out_channels = out_channels
        self.interp_conv = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(own, own, kernel_size=4, stride=2**k, bias=False),
                nn.BatchNorm2d(own),
                nn.ReLU(inplace=True),
            )
            for k, own in enumerate(channels)
        )
        self.reduction_pooling_conv = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(sum(channels), out_channels, kernel_size=2**k, stride=2**k),
                nn.BatchNorm2d(out_channels),
                nn.ReLU(inplace=True),
            )
            for k in range(n_out_features)
        )
        self.fpn_conv = nn.ModuleList(
            nn.Conv2d(out_channels, out_channels, 3, padding=1) for _ in range(n_out_features)
        )
        self._out_features = [f"p{k + 1}" for k in range(n_out_features)]
        self._out_feature_channels = dict.fromkeys(self._out_features, out_channels)
        self._out_feature_strides = {name: strides[0] * 2**k for k, name in enumerate(self._out_features)}

    @property
    def size_divisibility(self) -> int:
        """Return the number of pixels that the sides of images must be multiples of."""
        return self.bottom_up.size_divisibility

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Images (N, C, H, W) -> the levels by name, finest first.

        Raises:
            ValueError: the image is too small for the coarsest level.
        """
        maps = self.bottom_up(x)
        fine = [layer(maps[name]) for name, layer in zip(self.in_features, self.interp_conv, strict=True)]
        height, width = (min(own.shape[d] for own in fine) for d in (2, 3))
        coarsest = 2 ** (self.n_out_features - 1)
        if min(height, width) < coarsest:
            side = coarsest * self._out_feature_strides["p1"]
            raise ValueError(
                f"HRFPN: an image of {tuple(x.shape[2:])} is too small for {self.n_out_features} levels; its "
                f"sides must be about {side + 32} pixels at least"
            )
        together = torch.cat([own[:, :, :height, :width] for own in fine], dim=1)
        pooled = [layer(together) for layer in self.reduction_pooling_conv]
        # all levels cover the same part of the image: whole cells of the coarsest one
        for k in range(self.n_out_features):
            cells = coarsest // 2**k
            rows, columns = height // coarsest * cells, width // coarsest * cells
            pooled[k] = pooled[k][:, :, :rows, :columns]
        outputs = [layer(own) for layer, own in zip(self.fpn_conv, pooled, strict=True)]
        return dict(zip(self._out_features, outputs, strict=True))
