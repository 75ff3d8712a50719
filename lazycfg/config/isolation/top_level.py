"""Which top-level names of a config file are its config.

========================================  ================================================================
assigned (``dtype = torch.float16``)      config, whatever it is; not modules, classes and type aliases
``def``                                   config, unless the file itself uses it: then it is a helper
imported from another config file         as over there; a function that is used here is a helper
imported from an ordinary module          only nodes, as they are made to be edited
``class``, loop variables, ``with .. as``  never
``_name``                                 never
========================================  ================================================================

Nothing is dropped without a trace: `sort_out` gives the reason for each name that is left out.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import FunctionType, GenericAlias, ModuleType, UnionType
from typing import Any

from lazycfg.config.isolation.bindings import Bindings
from lazycfg.config.tree.node import Node
from lazycfg.config.tree.required import REQUIRED

_NO_BINDINGS = Bindings()


def sort_out(module: ModuleType) -> tuple[dict[str, Any], dict[str, str]]:
    """Return (the config of a module that has run, for each public name that is left out the reason)."""
    config: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    foreign = imported_from_code(module)
    for name, value in vars(module).items():
        if name.startswith("_"):
            continue
        reason = _why_not(module, name, value, foreign)
        if reason is None:
            config[name] = _settled(value)
        else:
            left_out[name] = reason
    return config, left_out


def imported_from_code(module: ModuleType) -> dict[str, str]:
    """Return names of a config module that are what an ordinary module holds, bound by ``from module import
    name``; with that module.
    """
    names = {}
    for bound, origin in _bindings(module).imports.items():
        if origin.level or bound not in vars(module):
            continue
        value = vars(module)[bound]
        named = getattr(type(value), "__lazycfg_name__", None)
        if named is not None:  # a stand-in of it
            same = ".".join(filter(None, named(value) or ())) == f"{origin.module}.{origin.name}"
        else:
            real = sys.modules.get(origin.module)
            same = real is not None and value is getattr(real, origin.name, module)
        if same:
            names[bound] = origin.module
    return names


def _bindings(module: object) -> Bindings:
    found = vars(module).get("_lazycfg_bindings") if isinstance(module, ModuleType) else None
    return found if isinstance(found, Bindings) else _NO_BINDINGS


def _why_not(module: ModuleType, name: str, value: Any, foreign: Mapping[str, str]) -> str | None:
    """Return why a name is no config; None when it is."""
    bindings = _bindings(module)
    if name in foreign:
        return f"it is imported from the module {foreign[name]}"
    if value is REQUIRED and name == "REQUIRED":
        return "it is a mark, not a value"
    kind = _kind(value)
    if kind in ("module", "class", "type"):
        return f"it is a {kind}"
    bound = bindings.kinds.get(name)
    if bound == "loop":
        return "it is the variable of a loop or a with statement"
    if kind != "function" or bound == "assigned":
        return None
    if name in bindings.used:
        return "it is a function that the file uses itself"
    if bound == "def":
        return None
    origin = _origin(module, name)
    if origin is None:
        return "it is a function, and not assigned in the file"
    return _why_not(*origin, value, imported_from_code(origin[0]))


def _origin(module: ModuleType, name: str) -> tuple[ModuleType, str] | None:
    """Return the config module that an imported name comes from, with its name there."""
    bindings = _bindings(module)
    sources: Mapping[Any, ModuleType] = vars(module).get("_lazycfg_sources", {})
    explicit = bindings.imports.get(name)
    for origin in bindings.stars if explicit is None else [explicit]:
        there = name if explicit is None else explicit.name
        source = sources.get((origin.level, origin.module))
        if source is not None and vars(source).get(there) is vars(module)[name]:
            return source, there
    return None


def _kind(value: Any) -> str:
    """Return "module", "class", "type" (an alias or variable of typing), "function" or "value"."""
    told = getattr(type(value), "__lazycfg_kind__", None)
    if told is not None:
        kind: str | None = told(value)
        if kind is not None:
            return kind
        value = _settled(value)
    if isinstance(value, ModuleType):
        return "module"
    if isinstance(value, type):
        return "class"
    if isinstance(value, GenericAlias | UnionType) or type(value).__module__ == "typing":
        return "type"
    wrapped = not isinstance(value, Node) and isinstance(getattr(value, "__wrapped__", None), FunctionType)
    return "function" if isinstance(value, FunctionType) or wrapped else "value"


def _settled(value: Any) -> Any:
    """Return a value, or what a stand-in of it stands for, where that may be data."""
    settle = getattr(type(value), "__lazycfg_settled__", None)
    return value if settle is None else settle(value)
