"""Who set a value: the writes along a config path, in the order they were made as far as that is known."""

from __future__ import annotations

from lazycfg.config.node import Node
from lazycfg.config.paths import MISSING, find_key, format_path
from lazycfg.config.position import writes_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from lazycfg.config.paths import Key, Path
    from lazycfg.config.position import Write

__all__ = ["top_of", "writes_along"]


def top_of(node: Any) -> Any:
    """The topmost container above `node`, as far as it was read through one; else `node` itself."""
    if type(node) is not Node:
        return node
    from lazycfg.config.interpolation import chain_of

    return chain_of(node)[0]


def writes_along(top: Any, path: Sequence[Key]) -> list[tuple[Path, Write]]:
    """The writes that put in place what stands at `path`, from the topmost container down, with the path of
    each.
    """
    found: list[tuple[Path, Write]] = []
    holder = top
    for depth, key in enumerate(path):
        if type(holder) is Node:
            rest = format_path(path[depth:])
            for write in writes_of(holder):
                if write.key == key or (
                    isinstance(write.key, str) and f"{rest}.".startswith(f"{write.key}.")
                ):
                    found.append(((*path[:depth], write.key), write))
        holder = find_key(holder, key)
        if holder is MISSING:
            break
    return found
