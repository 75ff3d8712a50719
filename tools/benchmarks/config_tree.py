"""The tree of calls that the construction core is measured with.

It is what the configs of the model zoo are on average (counted over all of them): 3.6 arguments given to a
call, of 6.5 parameters; for every ten calls six texts, nine lists and two tuples. Every class has a
keyword-only `__init__` with annotations that stores its arguments and computes a value or two from them: the
least that a component does. That makes the ratios a worst case: a constructor that does more (one of
`torch.nn` takes 10 to 1,000 times as long) hides what a config system adds.
"""

from __future__ import annotations

from typing import Any

from lazycfg import LazyCall as L

__all__ = ["NODES_PER_BLOCK", "Block", "Conv", "Net", "Norm", "blocks_for", "direct", "lazy", "overrides"]


class Norm:
    def __init__(
        self,
        *,
        channels: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track: bool = True,
    ):
        if channels <= 0:
            raise ValueError("channels")
        self.channels, self.eps, self.momentum = channels, eps, momentum
        self.affine, self.track = affine, track


class Conv:
    def __init__(
        self,
        *,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: tuple[int, int] = (1, 1),
        groups: int = 1,
        bias: bool = True,
        norm: Norm | None = None,
    ):
        if in_channels % groups or out_channels % groups:
            raise ValueError("groups")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride, self.padding = kernel_size, stride, kernel_size // 2
        self.shape = (out_channels, in_channels // groups, kernel_size, kernel_size)
        self.bias, self.norm = bias, norm


class Block:
    def __init__(
        self,
        *,
        first: Conv,
        second: Conv,
        name: str,
        features: list[str],
        activation: str = "relu",
        dropout: float = 0.0,
        frozen: bool = False,
    ):
        self.first, self.second, self.name, self.features = first, second, name, features
        self.activation, self.dropout, self.frozen = activation, dropout, frozen
        self.out_channels = second.out_channels


class Net:
    def __init__(self, *, blocks: list[Block], classes: int = 10):
        self.blocks, self.classes = blocks, classes


NODES_PER_BLOCK = 5


def blocks_for(nodes: int) -> int:
    """How many blocks make a tree of about so many calls."""
    return max(1, nodes // NODES_PER_BLOCK)


def direct(blocks: int) -> Any:
    """The tree by direct calls."""
    return Net(
        blocks=[
            Block(
                first=Conv(
                    in_channels=64,
                    out_channels=64,
                    stride=(2, 2),
                    bias=False,
                    norm=Norm(channels=64, eps=1e-3),
                ),
                second=Conv(
                    in_channels=64,
                    out_channels=256,
                    kernel_size=1,
                    norm=Norm(channels=256, momentum=0.01),
                ),
                name="block",
                features=["p2", "p3"],
                dropout=0.1,
            )
            for _ in range(blocks)
        ],
        classes=80,
    )


def lazy(blocks: int) -> Any:
    """The same calls, recorded."""
    return L(Net)(
        blocks=[
            L(Block)(
                first=L(Conv)(
                    in_channels=64,
                    out_channels=64,
                    stride=(2, 2),
                    bias=False,
                    norm=L(Norm)(channels=64, eps=1e-3),
                ),
                second=L(Conv)(
                    in_channels=64,
                    out_channels=256,
                    kernel_size=1,
                    norm=L(Norm)(channels=256, momentum=0.01),
                ),
                name="block",
                features=["p2", "p3"],
                dropout=0.1,
            )
            for _ in range(blocks)
        ],
        classes=80,
    )


def overrides(blocks: int) -> dict[str, Any]:
    """Ten values to set, by config path, spread over the tree."""
    values: dict[str, Any] = {"classes": 20}
    for step in range(3):
        index = step * (blocks - 1) // 2
        values[f"blocks.{index}.dropout"] = 0.2
        values[f"blocks.{index}.name"] = "changed"
        values[f"blocks.{index}.second.norm.eps"] = 0.01
    return values
