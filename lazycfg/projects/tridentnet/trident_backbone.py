"""A ResNet one stage of which has branches."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lazycfg.layers import CNNBlockBase, get_norm
from lazycfg.layers.batch_norm import Norm
from lazycfg.modeling import ResNet
from lazycfg.modeling.backbone.resnet_blocks import ResidualBlock, conv_norm
from lazycfg.utils.suggest import closest

from .trident_conv import TridentConv, active_branches

__all__ = [
    "TridentBottleneckBlock",
    "is_trident_fast",
    "make_trident_resnet_stages",
    "make_trident_stage",
]

STAGES = ("res2", "res3", "res4", "res5")


class TridentBottleneckBlock(ResidualBlock):
    """A bottleneck block whose 3x3 convolution has branches; all weights are shared by them.

    A map that is given as a tensor goes to all branches: what comes before the 3x3 convolution is computed
    once for it.

    Args:
        in_channels, out_channels, bottleneck_channels, stride, num_groups, norm, stride_in_1x1: as of
            `BottleneckBlock`.
        num_branch: number of branches.
        dilations: of the 3x3 convolution, of each branch (one number: of all); they are its padding, too.
        concat_output: return one tensor, the maps of the branches one after the other along the batch: all
            images of the first branch, then all of the second, ...
        test_branch_idx: the branch that is computed in evaluation; -1 for all.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        bottleneck_channels: int,
        stride: int = 1,
        num_groups: int = 1,
        norm: Norm = "BN",
        stride_in_1x1: bool = False,
        num_branch: int = 3,
        dilations: int | Sequence[int] = (1, 2, 3),
        concat_output: bool = False,
        test_branch_idx: int = -1,
    ) -> None:
        super().__init__(in_channels, out_channels, stride=stride, norm=norm)
        width = bottleneck_channels
        self.num_branch = num_branch
        self.concat_output = concat_output
        self.test_branch_idx = test_branch_idx
        stride_1x1, stride_3x3 = (stride, 1) if stride_in_1x1 else (1, stride)
        self.conv1 = conv_norm(in_channels, width, 1, stride=stride_1x1, norm=norm)
        self.conv2 = TridentConv(
            width,
            width,
            kernel_size=3,
            stride=stride_3x3,
            paddings=dilations,
            dilations=dilations,
            groups=num_groups,
            num_branch=num_branch,
            test_branch_idx=test_branch_idx,
            norm=get_norm(norm, width),
        )
        self.conv3 = conv_norm(width, out_channels, 1, norm=norm)

    def forward(self, x: Tensor | Sequence[Tensor]) -> Any:
        """Compute the branches.

        Args:
            x: a map (N, Cin, H, W), or one for each branch that is computed.

        Returns:
            Maps (N, Cout, H / stride, W / stride), one for each branch; with `concat_output` one tensor
            (branches * N, Cout, H / stride, W / stride).
        """
        inputs = [x] if isinstance(x, Tensor) else list(x)
        hidden = [F.relu_(self.conv1(each)) for each in inputs]
        shortcuts = inputs if self.shortcut is None else [self.shortcut(each) for each in inputs]
        if isinstance(x, Tensor):
            number = len(active_branches(self.num_branch, self.test_branch_idx, self.training))
            hidden, shortcuts = hidden * number, shortcuts * number
        outputs = []
        for each, shortcut in zip(self.conv2(hidden), shortcuts, strict=True):
            out = self.conv3(F.relu_(each))
            out += shortcut
            outputs.append(F.relu_(out))
        return torch.cat(outputs) if self.concat_output else outputs


def make_trident_stage(block_class: type[CNNBlockBase], num_blocks: int, **kwargs: Any) -> list[CNNBlockBase]:
    """Return the blocks of a stage with branches: the last one returns one tensor.

    Args:
        block_class: as `TridentBottleneckBlock`.
        num_blocks: how many.
        kwargs: as of `ResNet.make_stage`.
    """
    concat = [False] * (num_blocks - 1) + [True]
    return ResNet.make_stage(block_class, num_blocks, concat_output_per_block=concat, **kwargs)


def make_trident_resnet_stages(
    depth: int,
    *,
    trident_stage: str = "res4",
    num_branch: int = 3,
    branch_dilations: Sequence[int] = (1, 2, 3),
    test_branch_idx: int = 1,
    stride_in_1x1: bool = False,
    norm: Norm = "BN",
    **kwargs: Any,
) -> list[list[CNNBlockBase]]:
    """Return the stages res2 to res5 of a standard ResNet, one of which has branches.

    The keys of its state are those of a plain ResNet, so that its weights load.

    Args:
        depth: 50, 101 or 152.
        trident_stage: "res2", "res3", "res4" or "res5". Stages after it get the maps of all branches as
            a larger batch, so a pyramid needs it to be the first of the stages that it takes.
        num_branch: number of branches.
        branch_dilations: dilation of each branch.
        test_branch_idx: the branch that is computed in evaluation; -1 for all.
        stride_in_1x1, norm: as of `BottleneckBlock`, of all stages.
        kwargs: as of `ResNet.make_default_stages`.

    Raises:
        ValueError: there is no such stage or ResNet.
    """
    if trident_stage not in STAGES:
        raise ValueError(
            f"trident_stage is one of {list(STAGES)}, not {trident_stage!r}{closest(trident_stage, STAGES)}"
        )
    if depth < 50:
        raise ValueError(
            f"a stage with branches is made of bottleneck blocks: depth is at least 50, not {depth}"
        )
    index = STAGES.index(trident_stage)
    stages = ResNet.make_default_stages(depth, stride_in_1x1=stride_in_1x1, norm=norm, **kwargs)
    plain: list[Any] = stages[index]
    stages[index] = make_trident_stage(
        TridentBottleneckBlock,
        len(plain),
        stride_per_block=[block.stride for block in plain],
        in_channels=plain[0].in_channels,
        out_channels=plain[0].out_channels,
        bottleneck_channels=plain[0].conv1.out_channels,
        num_groups=kwargs.get("num_groups", 1),
        norm=norm,
        stride_in_1x1=stride_in_1x1,
        num_branch=num_branch,
        dilations=branch_dilations,
        test_branch_idx=test_branch_idx,
    )
    return stages


def is_trident_fast(test_branch_idx: int) -> bool:
    """Return whether one branch is computed in evaluation ("TridentNet Fast"), and not all."""
    return test_branch_idx != -1
