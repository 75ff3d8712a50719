"""Where what stands at a place of a config was written: by the log of writes, and by the text of the file."""

from __future__ import annotations

from lazycfg.config.errors import ConfigError
from lazycfg.config.signatures.source_lookup import Source, latest
from lazycfg.config.tree.access import get_path
from lazycfg.config.tree.keys import find_key
from lazycfg.config.tree.node import Node
from lazycfg.config.tree.paths import MISSING, parse_path
from lazycfg.config.tree.position import Position, Write, WrittenAt, position_of, writes_to

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from lazycfg.config.tree.paths import Key, Path
    from lazycfg.config.tree.position import Origin


def source_of(node: Any) -> Source | None:
    """Return the text that made `node`; None when it was not written in a file that can be read."""
    origin = position_of(node)
    if not isinstance(origin, Position):
        return None if origin is None else origin.source()
    from lazycfg.config.signatures.python_text import source_of_call

    return source_of_call(origin, node)


def argument_position(node: Any, *keys: Any) -> Origin | None:
    """Return where an argument of `node`, or what stands at `keys` in it, was written: the latest write to
    it, the nearest piece of source, else the call itself. Reads the source, so it is for messages only.
    """
    writes = [write for write in writes_to(node, keys) if write.value is not Write.DELETED]
    if writes:
        return origin_of(writes[-1])
    found = position_of(node)
    source = source_of(node)
    value = node
    for key in keys:
        source = None if source is None else source.below(key)
        value = MISSING if value is MISSING else find_key(value, key)
        places = [] if source is None else latest(source.places())
        for wanted in (False, None, True):  # the last that gives the value, as far as that is known
            found = next((p.position for p in reversed(places) if p.gives(value) is wanted), found)
    return found


def origin_of(write: Write) -> Origin:
    """Return where a write comes from; of what `merge` took from another config, its place there."""
    origin = write.origin
    return (argument_position(origin.node, origin.key) or origin) if isinstance(origin, WrittenAt) else origin


def place_of(top: Any, path: Path) -> Origin | None:
    """Return where what stands at a config path was written, as near as is known; a `${...}` is followed."""
    holders = [top]
    for depth, key in enumerate(path[:-1]):
        value = find_key(holders[-1], key)
        if type(value) is str and "${" in value:
            try:
                value = get_path(top, path[: depth + 1])
            except ConfigError:
                break
        holders.append(value)
    for depth in range(len(holders) - 1, -1, -1):
        node, keys = holders[depth], path[depth:]
        # A dict inside a call knows no place of its own, only what was written to it later.
        if type(node) is Node and keys and (position_of(node) is not None or writes_to(node, keys)):
            return argument_position(node, *keys)
    return None


def writes_along(top: Any, path: Sequence[Key]) -> list[tuple[Path, Write]]:
    """Return the writes that put in place what stands at `path`, from the topmost container down, with the
    path of each.
    """
    found: list[tuple[Path, Write]] = []
    holder = top
    for depth, key in enumerate(path):
        if type(holder) is Node:
            writes = writes_to(holder, path[depth:])
            found += [((*path[:depth], *parse_path(str(write.key))), write) for write in writes]
        holder = find_key(holder, key)
        if holder is MISSING:
            break
    return found
