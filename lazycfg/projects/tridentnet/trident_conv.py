"""One convolution, applied with several dilations."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["TridentConv", "active_branches"]


def active_branches(num_branch: int, test_branch_idx: int, training: bool) -> list[int]:
    """Return the branches that are computed: all in training, and in evaluation where none is chosen."""
    return list(range(num_branch)) if training or test_branch_idx == -1 else [test_branch_idx]


class TridentConv(nn.Module):
    """A convolution of several branches, which differ in padding and dilation and share everything else.

    Args:
        in_channels, out_channels, kernel_size, stride, groups, bias: as of `torch.nn.Conv2d`.
        paddings, dilations: of each branch, one number or (vertical, horizontal); one number alone is that of
            all branches.
        num_branch: number of branches.
        test_branch_idx: the branch that is computed in evaluation; -1 for all.
        norm: a built module, applied to the output of each branch (see `get_norm`).
        activation: a callable, applied last.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        paddings: int | Sequence[int | tuple[int, int]] = 0,
        dilations: int | Sequence[int | tuple[int, int]] = 1,
        groups: int = 1,
        num_branch: int = 1,
        test_branch_idx: int = -1,
        bias: bool = False,
        norm: nn.Module | None = None,
        activation: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        if num_branch < 1:
            raise ValueError(f"TridentConv: num_branch is at least 1, got {num_branch}")
        if not -1 <= test_branch_idx < num_branch:
            raise ValueError(
                f"TridentConv: test_branch_idx is one of the branches 0 ... {num_branch - 1}, or -1 for all; "
                f"got {test_branch_idx}"
            )
        if in_channels % groups or out_channels % groups:
            raise ValueError(f"TridentConv: {in_channels} -> {out_channels} channels in {groups} groups")
        self.kernel_size = pair(kernel_size)
        self.stride = pair(stride)
        self.groups = groups
        self.num_branch = num_branch
        self.test_branch_idx = test_branch_idx
        self.paddings = of_branches("paddings", paddings, num_branch)
        self.dilations = of_branches("dilations", dilations, num_branch)
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups, *self.kernel_size))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        nn.init.kaiming_uniform_(self.weight, nonlinearity="relu")
        self.norm = norm
        self.activation = activation

    def forward(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Maps (N, C, H, W), one for each branch that is computed -> their outputs.

        Raises:
            ValueError: there are not as many maps as branches.
        """
        branches = active_branches(self.num_branch, self.test_branch_idx, self.training)
        if len(inputs) != len(branches):
            raise ValueError(
                f"TridentConv computes {len(branches)} branches, but is given {len(inputs)} maps "
                f"(num_branch={self.num_branch}, test_branch_idx={self.test_branch_idx}, "
                f"{'training' if self.training else 'evaluation'})"
            )
        outputs = [
            F.conv2d(
                x,
                self.weight,
                self.bias,
                self.stride,
                self.paddings[branch],
                self.dilations[branch],
                self.groups,
            )
            for branch, x in zip(branches, inputs, strict=True)
        ]
        for function in (self.norm, self.activation):
            if function is not None:
                outputs = [function(x) for x in outputs]
        return outputs

    def extra_repr(self) -> str:
        """Return the arguments, for `repr`."""
        out_channels, in_channels = self.weight.shape[:2]
        return (
            f"{in_channels * self.groups}, {out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, paddings={self.paddings}, dilations={self.dilations}, "
            f"test_branch_idx={self.test_branch_idx}"
        )


def pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """Return (vertical, horizontal) of one number or two."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def of_branches(
    name: str, value: int | Sequence[int | tuple[int, int]], num_branch: int
) -> list[tuple[int, int]]:
    """Return the value of each branch, (vertical, horizontal).

    Raises:
        ValueError: there are more or fewer values than branches.
    """
    values = [value] * num_branch if isinstance(value, int) else list(value)
    if len(values) != num_branch:
        raise ValueError(f"TridentConv: {name}={values} are {len(values)} values for {num_branch} branches")
    return [pair(each) for each in values]
