"""Merge configs: `merge(base, *others)`, key by key, through nested dicts and calls."""

from __future__ import annotations

import warnings

from lazycfg.config.tree.node import SPECIAL, Node, is_call, raw_contains, raw_get, raw_items, to_nodes
from lazycfg.config.tree.parents import settle
from lazycfg.config.tree.paths import format_path
from lazycfg.config.tree.repr import short_repr, target_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Literal

    from lazycfg.config.tree.paths import Path

__all__ = ["kept_arguments", "merge"]


def merge(
    base: Mapping[str, Any], *others: Mapping[str, Any], calls: Literal["keep", "replace"] = "keep"
) -> Node:
    """Return a new config: `base` with the values of `others` put in, the last one counts.

    Dicts and calls are merged key by key; lists and everything else are replaced. None of the arguments is
    changed.

    Args:
        base: a node or dict.
        others: nodes or dicts.
        calls: what happens where a call meets a call of another target. "keep": the arguments that the other
            call does not name are kept, and a `UserWarning` lists them; "replace": the other call is taken
            whole.

    Raises:
        TypeError: one of the configs is no node or dict.
    """
    for config in (base, *others):
        if not isinstance(config, dict):
            raise TypeError(f"merge takes nodes and dicts, not {type(config).__name__}")
    result: Node = _own(base)
    for other in others:
        _merge_into(result, _own(other), calls)
    settle(result)
    return result


def kept_arguments(old: Any, new: Any) -> list[str]:
    """The arguments that stay when the items of `new`, a call of another target, are put into `old`."""
    if not is_call(new) or raw_get(old, "_target_") == raw_get(new, "_target_"):
        return []
    return [key for key in dict.keys(old) if key not in SPECIAL and not raw_contains(new, key)]


def _own(config: Any) -> Any:
    node = to_nodes(dict(raw_items(config)))
    return node.copy()


def _merge_into(base: Node, other: Node, calls: str) -> None:
    work: list[tuple[Path, Node, Node]] = [((), base, other)]
    while work:
        path, old, new = work.pop()
        kept = kept_arguments(old, new)
        if kept and calls == "keep":
            _warn(path, old, new, kept)
        elif calls == "replace" and is_call(new) and raw_get(old, "_target_") != raw_get(new, "_target_"):
            for key in kept:
                del old[key]
        for key, value in raw_items(new):
            present = raw_get(old, key)
            if type(present) is Node and type(value) is Node:
                work.append(((*path, key), present, value))
            else:
                old[key] = value


def _warn(path: Path, old: Node, new: Node, kept: list[str]) -> None:
    shown = ", ".join(f"{key}={short_repr(raw_get(old, key))}" for key in kept)
    warnings.warn(
        f"{format_path(path) or 'the config'} becomes a call of {target_name(raw_get(new, '_target_'))} "
        f"and keeps {shown}, which the merged call does not name; calls='replace' takes that call whole",
        stacklevel=4,
    )
