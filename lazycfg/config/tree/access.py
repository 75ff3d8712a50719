"""Parts of a config by their paths: `get_path`, and `subset` for some parts as a config of their own."""

from __future__ import annotations

from lazycfg.config.errors import PathError
from lazycfg.config.tree.chains import chain_above, extend
from lazycfg.config.tree.interpolation import resolve as resolve_text
from lazycfg.config.tree.keys import dead_end, find_key
from lazycfg.config.tree.node import Node, _set_parent, raw_get, raw_set
from lazycfg.config.tree.paths import MISSING, format_path, parse_path
from lazycfg.config.tree.reading import has_interpolation, read_in_chain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from lazycfg.config.tree.paths import Key

__all__ = ["get_path", "subset"]


def get_path(root: Any, path: str | Sequence[Key], *, resolve: bool = True) -> Any:
    """The value at a config path; interpolations on the way and at the end are resolved unless
    `resolve=False` (then only those on the way are).

    Raises `PathError`, which says how far the path led and what was meant.
    """
    keys = parse_path(path) if isinstance(path, str) else tuple(path)
    chain: Any = None  # that of `value`; needed only for interpolations
    value = root
    for depth, key in enumerate(keys):
        child = find_key(value, key)
        if child is MISSING:
            raise PathError(dead_end(keys, depth, value))
        last = depth + 1 == len(keys)
        if type(child) is str and "${" in child and (resolve or not last):
            if chain is None:
                chain = _chain(root, keys[:depth])
            child, chain = resolve_text(child, chain)
        elif chain is not None:
            chain = extend(chain, child)
        value = child
    if resolve and type(value) is not Node and has_interpolation(value):
        return read_in_chain(value, _chain(root, keys) if chain is None else chain)
    return value


def _chain(root: Any, keys: Sequence[Key]) -> Any:
    """Return the chain of what `keys` lead to from `root`, without an interpolation on the way."""
    chain = chain_above(root)
    for key in keys:
        chain = extend(chain, find_key(chain[0], key))
    return chain


def subset(cfg: Node, paths: Iterable[str | Sequence[Key]]) -> Node:
    """A config that has only what stands at some paths of `cfg`, at the same paths.

    The parts are those of `cfg`, not copies. A `${...}` in them means what it means in `cfg`, also where it
    leads out of them; what several of them share is built once; messages give the paths that they have in
    `cfg`::

        instantiate(subset(cfg, ["model", "dataloader.test"])).dataloader.test

    Args:
        cfg: a whole config; it is not changed.
        paths: config paths, of keys of nodes and dicts. One that lies in another one is part of that.

    Raises:
        PathError: a path does not exist, or leads into a list.
    """
    wanted = Node()
    for path in paths:
        keys = parse_path(path) if isinstance(path, str) else tuple(path)
        if not keys:
            return cfg
        _want(wanted, cfg, keys)
    _set_parent(wanted, cfg)
    return wanted


def _want(wanted: Node, cfg: Node, keys: tuple[Key, ...]) -> None:
    """Put an interpolation that leads to `keys` at `keys`: so the part is resolved along its own place."""
    value: Any = cfg
    for depth, key in enumerate(keys):
        child = find_key(value, key)
        if child is MISSING:
            raise PathError(dead_end(keys, depth, value))
        if not isinstance(value, dict):
            raise PathError(f"config path {format_path(keys)!r}: {format_path(keys[:depth])!r} is no dict")
        value = child
    holder = wanted
    for key in keys[:-1]:
        below = raw_get(holder, key)
        if below is None:
            below = Node()
            raw_set(holder, key, below)
        if type(below) is not Node:
            return  # a part above it is wanted already
        _set_parent(below, holder)
        holder = below
    raw_set(holder, keys[-1], f"${{{format_path(keys)}}}")
