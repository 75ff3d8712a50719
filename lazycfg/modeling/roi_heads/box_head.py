"""The layers between the pooled region of a box and its predictor."""

from collections.abc import Sequence

from torch import Tensor, nn

from lazycfg.layers import Conv2d, ShapeSpec, c2_msra_fill, c2_xavier_fill, get_norm
from lazycfg.layers.batch_norm import Norm

__all__ = ["FastRCNNConvFCHead"]


class FastRCNNConvFCHead(nn.Sequential):
    """3x3 convolutions, then fully connected layers, each followed by ReLU (arXiv:1504.08083, 1612.03144).

    Args:
        input_shape: channels, height and width of a pooled region.
        conv_dims: output channels of the convolutions; fc_dims: of the fully connected layers.
        conv_norm: of the convolutions, as `get_norm` takes it.
    """

    def __init__(
        self,
        input_shape: ShapeSpec,
        *,
        conv_dims: Sequence[int],
        fc_dims: Sequence[int],
        conv_norm: Norm = "",
    ) -> None:
        super().__init__()
        if len(conv_dims) + len(fc_dims) == 0:
            raise ValueError("FastRCNNConvFCHead: conv_dims and fc_dims are both empty")
        shape = (input_shape.channels, input_shape.height, input_shape.width)
        if None in shape:
            raise ValueError(f"FastRCNNConvFCHead needs channels, height and width, got {input_shape}")
        channels, height, width = shape
        self.conv_norm_relus: list[nn.Module] = []
        for k, dim in enumerate(conv_dims, start=1):
            conv = Conv2d(
                channels,
                dim,
                kernel_size=3,
                padding=1,
                bias=not conv_norm,
                norm=get_norm(conv_norm, dim),
                activation=nn.ReLU(inplace=True),
            )
            c2_msra_fill(conv)
            self.add_module(f"conv{k}", conv)
            self.conv_norm_relus.append(conv)
            channels = dim
        self.fcs: list[nn.Module] = []
        features = channels
        for k, dim in enumerate(fc_dims, start=1):
            if k == 1:
                self.add_module("flatten", nn.Flatten())
                features = channels * height * width
            fc = nn.Linear(features, dim)
            c2_xavier_fill(fc)
            self.add_module(f"fc{k}", fc)
            self.add_module(f"fc_relu{k}", nn.ReLU(inplace=True))
            self.fcs.append(fc)
            features = dim
        if fc_dims:
            self._output_shape = ShapeSpec(channels=features)
        else:
            self._output_shape = ShapeSpec(channels=channels, height=height, width=width)

    def forward(self, x: Tensor) -> Tensor:
        """Map (R, C, H, W) to (R, fc_dims[-1]), or to (R, conv_dims[-1], H, W) without fully connected
        layers.
        """
        for layer in self:
            x = layer(x)
        return x

    @property
    def output_shape(self) -> ShapeSpec:
        """Shape of the output of one region."""
        return self._output_shape


def flat_size(input_shape: ShapeSpec | int) -> int:
    """Number of values of one region.

    Raises:
        ValueError: the number of channels is not known.
    """
    if isinstance(input_shape, int):
        return input_shape
    if input_shape.channels is None:
        raise ValueError(f"the channels of a region must be known, got {input_shape}")
    return input_shape.channels * (input_shape.width or 1) * (input_shape.height or 1)


def flatten_regions(x: Tensor) -> Tensor:
    """Flatten (R, ...) to (R, K)."""
    return x.flatten(1) if x.dim() > 2 else x
