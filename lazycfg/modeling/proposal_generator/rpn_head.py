"""The convolutions of an RPN: objectness and offsets of the anchors at each pixel."""

from collections.abc import Sequence

from torch import Tensor, nn

from lazycfg.layers import Conv2d


class StandardRPNHead(nn.Module):
    """Objectness and box offsets of every anchor: 3x3 convolutions, then two of 1x1 (arXiv:1506.01497).

    Args:
        in_channels: of the maps, the same for all levels.
        num_anchors: anchors per pixel.
        box_dim: numbers per box: 4 upright, 5 rotated.
        conv_dims: output channels of each 3x3 convolution; -1 keeps the channels.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        num_anchors: int,
        box_dim: int = 4,
        conv_dims: Sequence[int] = (-1,),
    ) -> None:
        super().__init__()
        channels = in_channels
        convs: list[nn.Module] = []
        for dim in conv_dims:
            out_channels = channels if dim == -1 else dim
            if out_channels <= 0:
                raise ValueError(f"StandardRPNHead: conv_dims are positive or -1, got {list(conv_dims)}")
            relu = nn.ReLU(inplace=True)
            convs.append(Conv2d(channels, out_channels, kernel_size=3, stride=1, padding=1, activation=relu))
            channels = out_channels
        if len(convs) == 1:
            self.conv = convs[0]
        else:
            self.conv = nn.Sequential()
            for k, conv in enumerate(convs):
                self.conv.add_module(f"conv{k}", conv)
        self.objectness_logits = nn.Conv2d(channels, num_anchors, kernel_size=1)
        self.anchor_deltas = nn.Conv2d(channels, num_anchors * box_dim, kernel_size=1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)

    def forward(self, features: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Maps (N, C, H, W) -> per level logits (N, A, H, W) and offsets (N, A * box_dim, H, W)."""
        logits, deltas = [], []
        for feature in features:
            hidden = self.conv(feature)
            logits.append(self.objectness_logits(hidden))
            deltas.append(self.anchor_deltas(hidden))
        return logits, deltas
