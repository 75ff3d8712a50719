"""Conversion from and to OmegaConf, at the border only: `import lazycfg` never imports it."""

from __future__ import annotations

import sys

from lazycfg.config.errors import ConfigError
from lazycfg.config.node import REQUIRED, Node, raw_items, raw_set
from lazycfg.config.paths import format_path, unlink
from lazycfg.config.traverse import plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from omegaconf import DictConfig, ListConfig

__all__ = ["from_omegaconf", "is_omegaconf", "to_omegaconf"]


def is_omegaconf(value: Any) -> bool:
    """Whether `value` is a container of OmegaConf; imports nothing to find out."""
    omegaconf = sys.modules.get("omegaconf")
    return omegaconf is not None and isinstance(value, (omegaconf.DictConfig, omegaconf.ListConfig))


def from_omegaconf(value: Any) -> Any:
    """A `DictConfig` as a `Node`, a `ListConfig` as a list, all the way down; anything else is itself.

    Interpolations stay interpolations. A container of OmegaConf inside a node, list, tuple or dict is
    converted in place. The same object gives the same node wherever it stands.
    """
    if sys.modules.get("omegaconf") is None:
        return value
    return _Border().convert(value)


class _Border:
    """One conversion; remembers what was converted."""

    def __init__(self) -> None:
        self.made: dict[int, Any] = {}
        self.keep: list[Any] = []

    def convert(self, value: Any) -> Any:
        if id(value) in self.made:
            return self.made[id(value)]
        kind = type(value)
        if is_omegaconf(value):
            return self._from_config(value)
        if kind is Node or kind is dict or kind is list:
            self._note(value, value)
            for key, child in list(raw_items(value) if isinstance(value, dict) else enumerate(value)):
                new = self.convert(child)
                if new is not child:
                    if kind is Node:
                        raw_set(value, key, new)
                    else:
                        value[key] = new
        elif kind is tuple:
            parts = tuple(self.convert(child) for child in value)
            return parts if any(a is not b for a, b in zip(parts, value, strict=True)) else value
        return value

    def _note(self, source: Any, result: Any) -> None:
        self.keep.append(source)
        self.made[id(source)] = result

    def _from_config(self, value: Any, plain: Any = None) -> Any:
        """`plain` is the same tree as dicts and lists, with `${...}` and "???" as they were written."""
        from omegaconf import OmegaConf

        if plain is None:
            plain = OmegaConf.to_container(value, resolve=False, throw_on_missing=False)
        if not isinstance(plain, (dict, list)):
            return (
                REQUIRED if plain == "???" else plain
            )  # a container that is None, missing or an interpolation
        result: Any = Node() if isinstance(plain, dict) else []
        self._note(value, result)
        for key, child in plain.items() if isinstance(plain, dict) else enumerate(plain):
            if isinstance(child, (dict, list)):
                inner = value[key]
                new = self.made[id(inner)] if id(inner) in self.made else self._from_config(inner, child)
            else:
                new = self.convert(child)
            if isinstance(plain, dict):
                raw_set(result, key, new)
            else:
                result.append(new)
        return result


def to_omegaconf(value: Any) -> DictConfig | ListConfig:
    """A node, dict or list as OmegaConf's containers, for code that asks for them.

    A callable target becomes its `"pkg.mod.Name"`, `REQUIRED` becomes "???"; tuples become lists, and what
    was shared is repeated, as OmegaConf has neither. Other objects are kept as they are (`allow_objects`).
    About 0.4 ms a node.
    """
    from omegaconf import OmegaConf

    made: dict[int, Any] = {}
    for container, contents, link in plan(value):
        if isinstance(container, (dict, list, tuple)):
            items = contents.items() if isinstance(contents, dict) else enumerate(contents)
            plain = {key: _plain(made.get(id(child), child)) for key, child in items}
            if isinstance(container, dict):
                if "_target_" in plain:
                    plain["_target_"] = _name(plain["_target_"], (*unlink(link), "_target_"))
                made[id(container)] = plain
            else:
                made[id(container)] = list(plain.values())
    if id(value) not in made or not isinstance(value, (dict, list, tuple)):
        raise ConfigError(f"to_omegaconf takes a node, dict or list, not {type(value).__name__}")
    result: DictConfig | ListConfig = OmegaConf.create(made[id(value)], flags={"allow_objects": True})
    return result


def _plain(value: Any) -> Any:
    return "???" if value is REQUIRED else value


def _name(target: Any, path: tuple[Any, ...]) -> Any:
    """The dotted name of a target; a node as target stays one."""
    if isinstance(target, (str, dict)):
        return target
    module = getattr(target, "__module__", None)
    name = getattr(target, "__qualname__", "")
    if not module or "<" in name or not name:
        raise ConfigError(
            f"config path {format_path(path)!r}: {target!r} has no name that OmegaConf could keep"
        )
    return f"{module}.{name}"
