"""Conversion from and to OmegaConf, at the border only: `import lazycfg` never imports it."""

from __future__ import annotations

import sys

from lazycfg.config.errors import ConfigError, TargetError
from lazycfg.config.interop.dataclasses import arguments_of_fields
from lazycfg.config.signatures.callables import resolve_target
from lazycfg.config.tree.containers import field_names
from lazycfg.config.tree.node import REQUIRED, Node, raw_items, raw_set
from lazycfg.config.tree.paths import format_path, unlink
from lazycfg.config.tree.traversal import plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from omegaconf import DictConfig, ListConfig

__all__ = ["as_ours", "from_omegaconf", "has_calls", "is_omegaconf", "to_omegaconf"]


def is_omegaconf(value: Any) -> bool:
    """Whether `value` is a container of OmegaConf; imports nothing to find out."""
    omegaconf = sys.modules.get("omegaconf")
    return omegaconf is not None and isinstance(value, (omegaconf.DictConfig, omegaconf.ListConfig))


def as_ours(value: Any) -> Any:
    """Return a container of OmegaConf as nodes and lists, below those that it stands in: `${...}` in it means
    what it means there. Anything else is itself.
    """
    if not is_omegaconf(value):
        return value
    from lazycfg.config.tree.paths import get_path, parse_path

    root = value._get_root()
    ours = from_omegaconf(root)
    return ours if root is value else get_path(ours, parse_path(value._get_full_key(None)))


def has_calls(value: Any) -> bool:
    """Whether a container of OmegaConf has a dict with a `_target_` in it."""
    from omegaconf import OmegaConf

    work = [OmegaConf.to_container(value, resolve=False)]
    while work:
        holder: Any = work.pop()
        if isinstance(holder, dict) and "_target_" in holder:
            return True
        inside = holder.values() if isinstance(holder, dict) else holder if isinstance(holder, list) else ()
        work.extend(inside)
    return False


def from_omegaconf(value: Any) -> Any:
    """Return a `DictConfig` as a `Node`, a `ListConfig` as a list, all the way down; anything else is itself.

    A structured config becomes a call of its class. Interpolations stay interpolations. A container of
    OmegaConf inside a node, list, tuple or dict is converted in place. The same object gives the same node
    wherever it stands.
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
        """Convert a container; `plain` is the same tree as dicts and lists, as it was written."""
        from omegaconf import OmegaConf

        if plain is None:
            plain = OmegaConf.to_container(value, resolve=False, throw_on_missing=False)
        if not isinstance(plain, (dict, list)):
            return (
                REQUIRED if plain == "???" else plain
            )  # a container that is None, missing or an interpolation
        result: Any = Node() if isinstance(plain, dict) else []
        self._note(value, result)
        names: dict[Any, Any] = {}
        kind: Any = OmegaConf.get_type(value)
        if isinstance(plain, dict) and "_target_" not in plain and field_names(kind) is not None:
            raw_set(result, "_target_", kind)
            names = arguments_of_fields(kind)
            left_out = field_names(kind) or ()
            plain = {key: child for key, child in plain.items() if key in names or key not in left_out}
        for key, child in plain.items() if isinstance(plain, dict) else enumerate(plain):
            if isinstance(child, (dict, list)):
                inner = value[key]
                new = self.made[id(inner)] if id(inner) in self.made else self._from_config(inner, child)
            else:
                new = self.convert(child)
            if isinstance(plain, dict):
                raw_set(result, names.get(key, key), new)
            else:
                result.append(new)
        return result


def to_omegaconf(value: Any) -> DictConfig | ListConfig:
    """Return a node, dict or list as OmegaConf's containers, for code that asks for them.

    A callable target becomes its `"pkg.mod.Name"`, `REQUIRED` becomes "???"; tuples become lists, and what
    was shared is repeated, as OmegaConf has neither. Other objects are kept as they are (`allow_objects`).
    About 0.4 ms a node. Raises `ConfigError` for a target that no name leads back to, and for a tree that is
    too deep for OmegaConf (some hundred levels).
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
    try:
        result: DictConfig | ListConfig = OmegaConf.create(made[id(value)], flags={"allow_objects": True})
    except RecursionError:
        raise ConfigError("the config is too deep for OmegaConf, which recurses into every level") from None
    return result


def _plain(value: Any) -> Any:
    return "???" if value is REQUIRED else value


def _name(target: Any, path: tuple[Any, ...]) -> Any:
    """Return the dotted name of a target, which must lead back to it; a node as target stays one."""
    if isinstance(target, (str, dict)):
        return target
    names = [f"{getattr(target, '__module__', None)}.{getattr(target, '__qualname__', '')}"]
    owner = getattr(target, "__self__", None)
    if isinstance(owner, type):  # a class method, which may be that of a base
        names.append(f"{owner.__module__}.{owner.__qualname__}.{getattr(target, '__name__', '')}")
    module = sys.modules.get(getattr(target, "__module__", None) or "")
    names += (
        [f"{module.__name__}.{n}" for n, v in list(vars(module).items()) if v is target] if module else []
    )
    for name in names:
        try:
            found = resolve_target(name)
        except TargetError:
            continue
        if found is target or (found == target and getattr(found, "__self__", None) is owner):
            return name
    raise ConfigError(
        f"config path {format_path(path)!r}: no name leads to {target!r}, which OmegaConf would need: "
        "define it at the top of a module"
    )
