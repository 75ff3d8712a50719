"""Containers of OmegaConf as nodes and lists. Nothing here imports OmegaConf."""

from __future__ import annotations

import sys

from lazycfg.config.tree.containers import arguments_of_fields, field_names, inner_values
from lazycfg.config.tree.keys import find_key
from lazycfg.config.tree.node import Node, raw_items, raw_set
from lazycfg.config.tree.paths import parse_path
from lazycfg.config.tree.required import REQUIRED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def is_omegaconf(value: Any) -> bool:
    """Return whether `value` is a container of OmegaConf; imports nothing to find out."""
    omegaconf = sys.modules.get("omegaconf")
    return omegaconf is not None and isinstance(value, (omegaconf.DictConfig, omegaconf.ListConfig))


def as_ours(value: Any) -> Any:
    """Return a container of OmegaConf as nodes and lists, below those that it stands in: `${...}` in it means
    what it means there. Anything else is itself.
    """
    if not is_omegaconf(value):
        return value
    root = value._get_root()
    ours = from_omegaconf(root)
    for key in () if root is value else parse_path(value._get_full_key(None)):
        ours = find_key(ours, key)
    return ours


def has_calls(value: Any) -> bool:
    """Return whether a container of OmegaConf has a dict with a `_target_` in it."""
    from omegaconf import OmegaConf

    return holds_call(OmegaConf.to_container(value, resolve=False))


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
        """Return the node, list or value for one of OmegaConf."""
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


def holds_call(value: Any) -> bool:
    """Return whether a tree has a dict with a `_target_` in it."""
    work, seen = [value], {id(value)}
    while work:
        holder = work.pop()
        if isinstance(holder, dict) and "_target_" in holder:
            return True
        for child in inner_values(holder) or ():
            if id(child) not in seen:
                seen.add(id(child))
                work.append(child)
    return False
