"""The tree of `benchmarks.config` in other config systems, each measured where it is installed.

A system gives functions by name ("build": record or create the config, "instantiate": make the objects of it,
"deepcopy", "read": one value two levels down); what it has no counterpart for is left out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from benchmarks.config import Block, Conv, Net, Norm

__all__ = ["SYSTEMS"]

Operations = dict[str, Callable[[], Any]]


def fiddle(blocks: int) -> Operations:
    """fiddle: `fdl.Config` nodes, `fdl.build`."""
    import fiddle as fdl

    def build() -> Any:
        return fdl.Config(
            Net,
            blocks=[
                fdl.Config(
                    Block,
                    first=fdl.Config(
                        Conv,
                        in_channels=64,
                        out_channels=64,
                        kernel_size=3,
                        bias=False,
                        norm=fdl.Config(Norm, channels=64),
                    ),
                    second=fdl.Config(
                        Conv,
                        in_channels=64,
                        out_channels=256,
                        kernel_size=1,
                        stride=1,
                        norm=fdl.Config(Norm, channels=256),
                    ),
                    name="block",
                    dropout=0.1,
                )
                for _ in range(blocks)
            ],
            classes=80,
        )

    tree = build()
    return {
        "build": build,
        "instantiate": lambda: fdl.build(tree),
        "deepcopy": lambda: copy.deepcopy(tree),
        "read": lambda: tree.blocks[0].first.in_channels,
    }


def plain(blocks: int) -> dict[str, Any]:
    """The tree as dicts with `_target_` in text."""

    def conv(in_channels: int, out_channels: int, **more: Any) -> dict[str, Any]:
        norm = {"_target_": "benchmarks.config.Norm", "channels": out_channels}
        sizes = {"in_channels": in_channels, "out_channels": out_channels}
        return {"_target_": "benchmarks.config.Conv", **sizes, **more, "norm": norm}

    def block() -> dict[str, Any]:
        return {
            "_target_": "benchmarks.config.Block",
            "first": conv(64, 64, kernel_size=3, bias=False),
            "second": conv(64, 256, kernel_size=1, stride=1),
            "name": "block",
            "dropout": 0.1,
        }

    return {"_target_": "benchmarks.config.Net", "blocks": [block() for _ in range(blocks)], "classes": 80}


def hydra(blocks: int) -> Operations:
    """hydra and OmegaConf: `OmegaConf.create`, `hydra.utils.instantiate`."""
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    tree = OmegaConf.create(plain(blocks))
    return {
        "build": lambda: OmegaConf.create(plain(blocks)),
        "instantiate": lambda: instantiate(tree),
        "deepcopy": lambda: copy.deepcopy(tree),
        "read": lambda: tree.blocks[0].first.in_channels,
    }


def hydra_zen(blocks: int) -> Operations:
    """hydra-zen: one `builds` for each class, one config object for each node, `hydra_zen.instantiate`."""
    from hydra_zen import builds, instantiate

    net, block, conv, norm = (builds(c, populate_full_signature=True) for c in (Net, Block, Conv, Norm))

    def build() -> Any:
        return net(
            blocks=[
                block(
                    first=conv(
                        in_channels=64, out_channels=64, kernel_size=3, bias=False, norm=norm(channels=64)
                    ),
                    second=conv(
                        in_channels=64, out_channels=256, kernel_size=1, stride=1, norm=norm(channels=256)
                    ),
                    name="block",
                    dropout=0.1,
                )
                for _ in range(blocks)
            ],
            classes=80,
        )

    tree = build()
    return {
        "build": build,
        "instantiate": lambda: instantiate(tree),
        "deepcopy": lambda: copy.deepcopy(tree),
        "read": lambda: tree.blocks[0].first.in_channels,
    }


def mmengine(blocks: int) -> Operations:
    """mmengine-lite: `Config` of dicts. (Its registries build one object at a time, so nothing else
    compares.)
    """
    from mmengine.config import Config

    tree = Config(plain(blocks))
    return {
        "build": lambda: Config(plain(blocks)),
        "deepcopy": lambda: copy.deepcopy(tree),
        "read": lambda: tree.blocks[0].first.in_channels,
    }


def chz(blocks: int) -> Operations:
    """chz: a `Blueprint` with one path for each argument, `make`."""
    import chz as system

    fields: list[tuple[Any, dict[str, Any]]] = [
        (Norm, {"channels": int}),
        (Conv, {"in_channels": int, "out_channels": int, "kernel_size": int}),
    ]
    norm = _chz_class(system, *fields[0])
    conv = _chz_class(system, Conv, {**fields[1][1], "norm": norm})
    block = _chz_class(system, Block, {"first": conv, "second": conv, "name": str, "dropout": float})
    net = _chz_class(system, Net, {"blocks": list[block], "classes": int})  # type: ignore[valid-type]
    arguments: dict[str, Any] = {"classes": 80}
    for index in range(blocks):
        arguments |= {f"blocks.{index}.name": "block", f"blocks.{index}.dropout": 0.1}
        for name, channels in (("first", 64), ("second", 256)):
            start = f"blocks.{index}.{name}"
            arguments |= {
                f"{start}.in_channels": 64,
                f"{start}.out_channels": channels,
                f"{start}.kernel_size": 3,
                f"{start}.norm.channels": channels,
            }
    blueprint = system.Blueprint(net).apply(arguments)
    return {
        "build": lambda: system.Blueprint(net).apply(arguments),
        "instantiate": blueprint.make,
    }


def _chz_class(system: Any, like: type, fields: dict[str, Any]) -> Any:
    made = type(like.__name__, (), {"__annotations__": fields, "__module__": __name__})
    return system.chz(made)


SYSTEMS: dict[str, Callable[[int], Operations]] = {
    "fiddle": fiddle,
    "hydra + omegaconf": hydra,
    "hydra-zen": hydra_zen,
    "mmengine": mmengine,
    "chz": chz,
}
