"""Parts of a config by their paths: `get_path`, and `subset` for some of them as a config; `to_dict`."""

from __future__ import annotations

from lazycfg.config.errors import PathError
from lazycfg.config.tree.budget import Active, Budget
from lazycfg.config.tree.chains import chain_above, extend
from lazycfg.config.tree.containers import LEAVES
from lazycfg.config.tree.interpolation import resolve as resolve_text
from lazycfg.config.tree.keys import dead_end, find_key
from lazycfg.config.tree.node import Node, raw_get, raw_set
from lazycfg.config.tree.paths import MISSING, format_path, parse_path
from lazycfg.config.tree.placed import set_parent
from lazycfg.config.tree.reading import read_in_chain
from lazycfg.config.tree.required import REQUIRED
from lazycfg.config.tree.targets import full_name
from lazycfg.config.tree.traversal import survey

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from lazycfg.config.tree.chains import Chain
    from lazycfg.config.tree.paths import Key, Link


def get_path(root: Any, path: str | Sequence[Key], default: Any = MISSING, *, resolve: bool = True) -> Any:
    """Return the value at a config path.

    Args:
        root: a node, list, tuple, dict or object.
        path: as text (`"model.stages.0"`) or as keys.
        default: what is returned where there is nothing at the path; by default that is an error.
        resolve: resolve an interpolation at the end, too; those on the way are resolved always.

    Raises:
        PathError: there is nothing at the path; the message says how far it led and what was meant.
    """
    keys = parse_path(path) if isinstance(path, str) else tuple(path)
    chain: Any = None  # that of `value`; needed only for interpolations
    value = root
    for depth, key in enumerate(keys):
        child = find_key(value, key)
        if child is MISSING:
            if default is not MISSING:
                return default
            raise PathError(dead_end(keys, depth, value))
        last = depth + 1 == len(keys)
        if type(child) is str and "${" in child and (resolve or not last):
            if chain is None:
                chain = _chain(root, keys[:depth])
            child, chain = resolve_text(child, chain)
        elif chain is not None:
            chain = extend(chain, child)
        value = child
    if resolve and type(value) is not Node and type(value) not in LEAVES:
        return read_in_chain(value, _chain(root, keys) if chain is None else chain)
    return value


def _chain(root: Any, keys: Sequence[Key]) -> Any:
    """Return the chain of what `keys` lead to from `root`, without an interpolation on the way."""
    chain = chain_above(root)
    for key in keys:
        chain = extend(chain, find_key(chain[0], key))
    return chain


def subset(cfg: Node, paths: Iterable[str | Sequence[Key]]) -> Node:
    """Return a config with only some paths of `cfg`.

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
    set_parent(wanted, cfg)
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
        set_parent(below, holder)
        holder = below
    raw_set(holder, keys[-1], f"${{{format_path(keys)}}}")


def to_dict(cfg: Any, *, resolve: bool = True) -> Any:
    """Return a config as plain dicts and lists, for loggers and for code that knows no nodes.

    A target becomes its dotted name, a tuple a list, an object of a dataclass or attrs class a dict of its
    fields, `REQUIRED` the text "???". Other objects are themselves. What is shared in the config is shared in
    the result, too.

    Args:
        cfg: a node, list, tuple or dict.
        resolve: put the values of `${...}` in their places; else the texts stay.

    Raises:
        InterpolationError: a `${...}` cannot be resolved.
        CycleError: the config contains itself.
    """
    budget = Budget()

    def resolved(text: str, chain: Chain, way: Chain | None, link: Link) -> tuple[Any, Chain]:
        return resolve_text(text, chain, Active((), budget).next())

    seen = survey(cfg, None, resolved if resolve else None)
    result: Any = cfg
    for value, contents, link, above in seen.visits:
        result = contents
        if type(contents) is dict:
            if isinstance(value, tuple):
                result = list(contents.values())
            elif "_target_" in contents and not isinstance(contents["_target_"], dict):
                contents["_target_"] = full_name(contents["_target_"])
        if above is not None and link is not None:
            above[link[1]] = result
        for place, key in seen.shared.get(id(contents), ()):
            place[key] = result
        for key, child in result.items() if type(result) is dict else enumerate(result):
            if child is REQUIRED:
                result[key] = "???"
            elif type(child) is tuple:  # with nothing to resolve in it
                result[key] = list(child)
    return result
