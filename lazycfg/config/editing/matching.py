"""Paths with wildcards: which places of a config ``model.**.Conv2d.bias`` means.

``*`` stands for one key, ``**`` for any number of levels (none included), ``res*`` for keys by pattern. A
word also matches a call node by the name of its target: ``**.Conv2d`` is every call of ``Conv2d``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

from lazycfg.config.tree.containers import children
from lazycfg.config.tree.node import Node, is_call, raw_get
from lazycfg.config.tree.targets import target_name

_SPECIAL = frozenset({"_target_", "_partial_"})


def has_wildcard(keys: Sequence[Any]) -> bool:
    """Return whether a path means several places."""
    return any(type(key) is str and ("*" in key or "?" in key) for key in keys)  # not `Quoted`


def find_holders(root: Any, pattern: Sequence[Any]) -> list[tuple[tuple[Any, ...], Any, bool]]:
    """Return the containers of a pattern: (path, container, whether its class was named), each once."""
    found: dict[int, tuple[tuple[Any, ...], Any, bool]] = {}
    seen: set[tuple[int, int]] = set()
    stack: list[tuple[Any, tuple[Any, ...], int, bool]] = [(root, (), 0, False)]
    while stack:
        value, path, position, by_class = stack.pop()
        if (id(value), position) in seen:
            continue
        seen.add((id(value), position))
        if position == len(pattern):
            if children(value) is not None:
                found.setdefault(id(value), (path, value, by_class))
            continue
        segment = pattern[position]
        below = []
        if segment == "**" and type(segment) is str:
            below.append((value, path, position + 1, False))
            below += [(child, (*path, key), position, False) for key, child in keys_below(value)]
        else:
            for key, child in keys_below(value):
                if key_matches(key, segment, value):
                    below.append((child, (*path, key), position + 1, False))
                elif is_call(child) and target_name(raw_get(child, "_target_")) == segment:
                    below.append((child, (*path, key), position + 1, True))
        stack.extend(reversed(below))
    return list(found.values())


def keys_below(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the children of a container that a path can lead to."""
    for key, child in children(value) or ():
        if type(value) is not Node or key not in _SPECIAL:
            yield key, child


def key_matches(key: Any, segment: Any, holder: Any) -> bool:
    """Return whether one segment of a pattern means ``key``."""
    if isinstance(segment, int) and isinstance(key, int):
        return key == segment or (isinstance(holder, list | tuple) and key == segment + len(holder))
    return fnmatchcase(str(key), segment) if type(segment) is str else str(key) == str(segment)
