"""HRNet: a backbone that keeps a fine map all along (Sun et al., arXiv:1908.07919)."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from lazycfg.modeling import Backbone

__all__ = ["HighResolutionModule", "PoseHigherResolutionNet"]

STEM_CHANNELS = 64


def conv_bn(in_channels: int, out_channels: int, *, stride: int = 1, relu: bool = True) -> nn.Sequential:
    """Return a 3x3 convolution with batch normalisation, and with ReLU if asked for."""
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
    ]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)


class PoseHigherResolutionNet(Backbone):
    """HRNet as published for pose estimation: four branches in the end, of strides 4, 8, 16 and 32.

    Args:
        width: channels of the finest branch, 32, 40 or 48; each further one has twice as many.
        num_modules: exchanges between the branches in stages 2, 3 and 4.
        num_blocks: residual blocks of a branch between two exchanges.
        in_channels: of the images.

    Its maps are "p1" to "p4", finest first.
    """

    def __init__(
        self,
        *,
        width: int = 32,
        num_modules: Sequence[int] = (1, 4, 3),
        num_blocks: int = 4,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, STEM_CHANNELS, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(STEM_CHANNELS)
        self.conv2 = nn.Conv2d(STEM_CHANNELS, STEM_CHANNELS, 3, stride=2, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(STEM_CHANNELS)
        out_channels = STEM_CHANNELS * Bottleneck.expansion
        widen = nn.Sequential(
            nn.Conv2d(STEM_CHANNELS, out_channels, 1, bias=False), nn.BatchNorm2d(out_channels)
        )
        self.layer1 = nn.Sequential(
            Bottleneck(STEM_CHANNELS, STEM_CHANNELS, downsample=widen),
            *(Bottleneck(out_channels, STEM_CHANNELS) for _ in range(3)),
        )
        self.num_stages = len(num_modules)
        before = [out_channels]
        for stage, modules in enumerate(num_modules, start=2):
            after = [width * 2**k for k in range(stage)]
            self.add_module(f"transition{stage - 1}", make_transition(before, after))
            blocks = [HighResolutionModule(after, num_blocks) for _ in range(modules)]
            self.add_module(f"stage{stage}", nn.Sequential(*blocks))
            before = after
        self._out_features = [f"p{k + 1}" for k in range(len(before))]
        self._out_feature_channels = dict(zip(self._out_features, before, strict=True))
        self._out_feature_strides = {name: 4 * 2**k for k, name in enumerate(self._out_features)}

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map images (N, C, H, W) to maps by name, each of half the resolution of the one before."""
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = F.relu(self.bn2(self.conv2(x)), inplace=True)
        branches = [self.layer1(x)]
        for stage in range(2, self.num_stages + 2):
            transition = self.get_submodule(f"transition{stage - 1}")
            # a new branch is made of the coarsest one
            moved = [branches[min(k, len(branches) - 1)] for k in range(stage)]
            moved = [transition[str(k)](y) if str(k) in transition else y for k, y in enumerate(moved)]
            branches = self.get_submodule(f"stage{stage}")(moved)
        return dict(zip(self._out_features, branches, strict=True))


def make_transition(before: Sequence[int], after: Sequence[int]) -> nn.ModuleDict:
    """Return what leads to each branch of the next stage; nothing for those that stay as they are."""
    layers = {}
    for k, channels in enumerate(after):
        if k >= len(before):
            layers[str(k)] = nn.Sequential(conv_bn(before[-1], channels, stride=2))
        elif before[k] != channels:
            layers[str(k)] = conv_bn(before[k], channels)
    return nn.ModuleDict(layers)


class HighResolutionModule(nn.Module):
    """Residual blocks on each branch, then an exchange: each branch becomes the sum of all.

    Args:
        channels: of the branches, finest first; strides double from one to the next.
        num_blocks: residual blocks of each.
    """

    def __init__(self, channels: Sequence[int], num_blocks: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(own, own) for _ in range(num_blocks))) for own in channels
        )
        self.fuse_layers = nn.ModuleList(
            nn.ModuleDict({str(j): make_fuse_layer(channels, j, i) for j in range(len(channels)) if j != i})
            for i in range(len(channels))
        )

    def forward(self, x: Sequence[Tensor]) -> list[Tensor]:
        """Maps of all branches -> maps of the same shapes."""
        x = [branch(own) for branch, own in zip(self.branches, x, strict=True)]
        out = []
        for i, layers in enumerate(self.fuse_layers):
            total = layers["0"](x[0]) if i else x[0]
            for j in range(1, len(x)):
                own = layers[str(j)](x[j]) if j != i else x[j]
                # upsampled maps may be larger where a side is odd
                total = total + own[:, :, : total.shape[2], : total.shape[3]]
            out.append(F.relu(total))
        return out


def make_fuse_layer(channels: Sequence[int], source: int, target: int) -> nn.Sequential:
    """Return what brings one branch to the size and the channels of another one."""
    if source > target:
        return nn.Sequential(
            nn.Conv2d(channels[source], channels[target], 1, bias=False),
            nn.BatchNorm2d(channels[target]),
            nn.Upsample(scale_factor=2 ** (source - target), mode="nearest"),
        )
    steps = [conv_bn(channels[source], channels[source], stride=2) for _ in range(target - source - 1)]
    return nn.Sequential(*steps, conv_bn(channels[source], channels[target], stride=2, relu=False))
