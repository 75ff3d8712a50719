"""The tree of `config_tree` in lazycfg and in other config systems, each measured where it is installed.

A system gives functions by the name of the operation; what it has no counterpart for is left out:

- "build": record or create the config; "check": find what is wrong with it without building anything
- "instantiate": make the objects; "deepcopy": copy the config
- "overrides": set the ten values of `config_tree.overrides`, given as on a command line
- "read", "write": one value four levels down
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from benchmarks.config_tree import Block, Conv, Net, Norm, direct, lazy, overrides
from benchmarks.timing import Fresh

__all__ = ["IMPORTS", "SYSTEMS"]

Operations = dict[str, Callable[[], Any] | Fresh]

IMPORTS = {
    "lazycfg": "from lazycfg import LazyCall, LazyConfig, check, instantiate",
    "fiddle": "import fiddle",
    "hydra + omegaconf": "import hydra, omegaconf; from hydra.utils import instantiate",
    "hydra-zen": "from hydra_zen import builds, instantiate",
    "mmengine": "from mmengine.config import Config",
    "chz": "import chz",
}


def _texts(blocks: int) -> list[str]:
    return [f"{path}={value}" for path, value in overrides(blocks).items()]


def _access(tree: Any) -> Operations:
    """Read and write one value, as it is done by attributes in all of them."""

    def write() -> None:
        tree.blocks[0].first.in_channels = 64

    return {"read": lambda: tree.blocks[0].first.in_channels, "write": write}


def plain_calls(blocks: int) -> Operations:
    """No config system: the constructors."""
    tree = direct(blocks)
    return {"build": lambda: direct(blocks), "deepcopy": lambda: copy.deepcopy(tree), **_access(tree)}


def lazycfg(blocks: int) -> Operations:
    """lazycfg: `LazyCall`, `check`, `instantiate`, `LazyConfig.apply_overrides`."""
    from lazycfg import LazyConfig, check, instantiate

    tree, changed, texts = lazy(blocks), lazy(blocks), _texts(blocks)
    return {
        "build": lambda: lazy(blocks),
        "check": lambda: check(tree),
        "instantiate": lambda: instantiate(tree),
        "deepcopy": lambda: copy.deepcopy(tree),
        "overrides": lambda: LazyConfig.apply_overrides(changed, texts),
        **_access(changed),
    }


def fiddle(blocks: int) -> Operations:
    """fiddle: `fdl.Config` nodes, `fdl.build`, the values of its command line flags."""
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
                        stride=(2, 2),
                        bias=False,
                        norm=fdl.Config(Norm, channels=64, eps=1e-3),
                    ),
                    second=fdl.Config(
                        Conv,
                        in_channels=64,
                        out_channels=256,
                        kernel_size=1,
                        norm=fdl.Config(Norm, channels=256, momentum=0.01),
                    ),
                    name="block",
                    features=["p2", "p3"],
                    dropout=0.1,
                )
                for _ in range(blocks)
            ],
            classes=80,
        )

    tree, changed = build(), build()
    operations = {
        "build": build,
        "instantiate": lambda: fdl.build(tree),
        "deepcopy": lambda: copy.deepcopy(tree),
        **_access(changed),
    }
    try:
        from fiddle._src.absl_flags.utils import set_value
    except ImportError:  # it needs `pip install fiddle[flags]`
        return operations
    texts = []
    for path, value in overrides(blocks).items():
        keys = "".join(f"[{key}]" if key.isdigit() else f".{key}" for key in path.split("."))
        texts.append(f"{keys[1:]}={value!r}")
    operations["overrides"] = lambda: [set_value(changed, text) for text in texts]
    return operations


def _as_dicts(blocks: int) -> dict[str, Any]:
    """The tree as dicts with `_target_` in text."""

    def conv(norm: dict[str, Any], **arguments: Any) -> dict[str, Any]:
        return {
            "_target_": "benchmarks.config_tree.Conv",
            **arguments,
            "norm": {"_target_": "benchmarks.config_tree.Norm", **norm},
        }

    def block() -> dict[str, Any]:
        first = {"in_channels": 64, "out_channels": 64, "stride": (2, 2), "bias": False}
        second = {"in_channels": 64, "out_channels": 256, "kernel_size": 1}
        return {
            "_target_": "benchmarks.config_tree.Block",
            "first": conv({"channels": 64, "eps": 1e-3}, **first),
            "second": conv({"channels": 256, "momentum": 0.01}, **second),
            "name": "block",
            "features": ["p2", "p3"],
            "dropout": 0.1,
        }

    net = "benchmarks.config_tree.Net"
    return {"_target_": net, "blocks": [block() for _ in range(blocks)], "classes": 80}


def hydra(blocks: int) -> Operations:
    """hydra and OmegaConf: `OmegaConf.create`, `hydra.utils.instantiate`, hydra's parser of overrides."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    tree, changed = OmegaConf.create(_as_dicts(blocks)), OmegaConf.create(_as_dicts(blocks))
    texts = _texts(blocks)

    def override() -> None:
        for found in OverridesParser.create().parse_overrides(texts):
            OmegaConf.update(changed, found.key_or_group, found.value())

    return {
        "build": lambda: OmegaConf.create(_as_dicts(blocks)),
        "instantiate": lambda: instantiate(tree),
        "deepcopy": lambda: copy.deepcopy(tree),
        "overrides": override,
        **_access(changed),
    }


def hydra_zen(blocks: int) -> Operations:
    """hydra-zen: one `builds` for each class, one config object for each node, `hydra_zen.instantiate`.
    (Overrides are those of hydra.)
    """
    from hydra_zen import builds, instantiate

    net, block, conv, norm = (builds(c, populate_full_signature=True) for c in (Net, Block, Conv, Norm))

    def build() -> Any:
        return net(
            blocks=[
                block(
                    first=conv(
                        in_channels=64,
                        out_channels=64,
                        stride=(2, 2),
                        bias=False,
                        norm=norm(channels=64, eps=1e-3),
                    ),
                    second=conv(
                        in_channels=64,
                        out_channels=256,
                        kernel_size=1,
                        norm=norm(channels=256, momentum=0.01),
                    ),
                    name="block",
                    features=["p2", "p3"],
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
        **_access(tree),
    }


def mmengine(blocks: int) -> Operations:
    """mmengine-lite: `Config` of dicts. (Its registries build one object at a time, so that nothing compares
    with instantiate.)
    """
    from mmengine.config import Config

    tree, changed, values = Config(_as_dicts(blocks)), Config(_as_dicts(blocks)), overrides(blocks)
    return {
        "build": lambda: Config(_as_dicts(blocks)),
        "deepcopy": lambda: copy.deepcopy(tree),
        "overrides": lambda: changed.merge_from_dict(values),
        **_access(changed),
    }


def chz(blocks: int) -> Operations:
    """chz: a `Blueprint` with one path for each argument, `make`, `apply_from_argv`. (A blueprint is not a
    tree that could be read or written.)
    """
    import chz as system

    norm = _chz_class(system, Norm, {"channels": int, "eps": float, "momentum": float}, 1e-5, 0.1)
    sizes = {"in_channels": int, "out_channels": int, "norm": norm}
    options = {"kernel_size": int, "stride": tuple[int, int], "bias": bool}
    conv = _chz_class(system, Conv, {**sizes, **options}, 3, (1, 1), True)
    fields = {"first": conv, "second": conv, "name": str, "features": list[str], "dropout": float}
    block = _chz_class(system, Block, fields)
    net = _chz_class(system, Net, {"blocks": list[block], "classes": int})  # type: ignore[valid-type]

    def build() -> Any:
        arguments: dict[str, Any] = {"classes": 80}
        for index in range(blocks):
            at = f"blocks.{index}"
            arguments |= {f"{at}.name": "block", f"{at}.features": ["p2", "p3"], f"{at}.dropout": 0.1}
            arguments |= {f"{at}.first.in_channels": 64, f"{at}.first.out_channels": 64}
            arguments |= {f"{at}.first.stride": (2, 2), f"{at}.first.bias": False}
            arguments |= {f"{at}.first.norm.channels": 64, f"{at}.first.norm.eps": 1e-3}
            arguments |= {f"{at}.second.in_channels": 64, f"{at}.second.out_channels": 256}
            arguments |= {f"{at}.second.kernel_size": 1}
            arguments |= {f"{at}.second.norm.channels": 256, f"{at}.second.norm.momentum": 0.01}
        return system.Blueprint(net).apply(arguments)

    blueprint, texts = build(), _texts(blocks)
    return {
        "build": build,
        "instantiate": blueprint.make,
        "overrides": lambda: blueprint.clone().apply(system.blueprint.argv_to_blueprint_args(texts)),
    }


def _chz_class(system: Any, like: type, fields: dict[str, Any], *defaults: Any) -> Any:
    """A chz class with these fields, the last ones of which have defaults."""
    names = list(fields)[len(fields) - len(defaults) :]
    values = dict(zip(names, defaults, strict=True))
    return system.chz(type(like.__name__, (), {"__annotations__": fields, "__module__": __name__, **values}))


SYSTEMS: dict[str, Callable[[int], Operations]] = {
    "direct calls": plain_calls,
    "lazycfg": lazycfg,
    "fiddle": fiddle,
    "hydra + omegaconf": hydra,
    "hydra-zen": hydra_zen,
    "mmengine": mmengine,
    "chz": chz,
}
