"""Merge configs: `merge(base, *others)`, key by key, through nested dicts and calls."""

from __future__ import annotations

import warnings

from lazycfg.config.tree.chains import path_to
from lazycfg.config.tree.node import (
    SPECIAL,
    Node,
    is_call,
    raw_contains,
    raw_get,
    raw_items,
    raw_set,
    to_nodes,
)
from lazycfg.config.tree.parents import settle
from lazycfg.config.tree.paths import format_path
from lazycfg.config.tree.position import WrittenAt, position_of, record_write, set_position, writes_of
from lazycfg.config.tree.repr import short_repr
from lazycfg.config.tree.targets import full_name, loaded_target, target_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Literal

    from lazycfg.config.tree.paths import Path


def merge(
    base: Mapping[str, Any], *others: Mapping[str, Any], calls: Literal["keep", "replace"] = "keep"
) -> Node:
    """Return a new config: `base` with the values of `others` put in, the last one counts.

    Dicts and calls are merged key by key; lists and everything else are replaced. None of the arguments is
    changed.

    Args:
        base: a node or dict.
        others: nodes or dicts.
        calls: what happens where a call meets a call of another target, or comes where a plain dict is.
            "keep": the arguments that the new call does not name are kept, and a `UserWarning` lists them;
            "replace": the new call is taken whole.

    Raises:
        TypeError: one of the configs is no node or dict.
    """
    if calls not in ("keep", "replace"):
        raise ValueError(f"merge takes calls='keep' or 'replace', not {calls!r}")
    for config in (base, *others):
        if not isinstance(config, dict):
            raise TypeError(f"merge takes nodes and dicts, not {type(config).__name__}")
    result: Node = _own(base)
    for other in others:
        _merge_into(result, _own(other), other, calls)
    settle(result)
    return result


def kept_arguments(old: Any, new: Any) -> list[str]:
    """Return the arguments that stay when the items of another call, `new`, are put into `old`."""
    if "_target_" not in new or (is_call(old) and _same_target(old, new)):
        return []
    names = [key for key in dict.keys(old) if key == "_args_" or key not in SPECIAL]
    return [key for key in names if not raw_contains(new, key)]


def _same_target(old: Any, new: Any) -> bool:
    """Return whether two calls have one target; a name in text is as good as what it stands for."""
    targets = [raw_get(node, "_target_") for node in (old, new)]
    if sum(type(target) is str for target in targets) == 1:
        targets = [loaded_target(target) if type(target) is str else target for target in targets]
    return bool(targets[0] == targets[1]) or full_name(targets[0]) == full_name(targets[1])


def warn_of_kept(old: Any, new: Any) -> None:
    """Warn the caller of `Node.update` about arguments that another call keeps."""
    kept = kept_arguments(old, new)
    if kept:
        _warn(path_to(old), old, new, kept, "merge(cfg, new, calls='replace')", 4)


def _own(config: Any) -> Any:
    node = to_nodes(dict(raw_items(config))).copy()
    if type(config) is Node:
        set_position(node, position_of(config))
    return node


def _merge_into(base: Node, other: Node, source: Any, calls: str) -> None:
    work: list[tuple[Path, Node, Node]] = [((), base, other)]
    while work:
        path, old, new = work.pop()
        kept = kept_arguments(old, new)
        if kept and calls == "keep":
            _warn(path, old, new, kept, "calls='replace'", 4)
        elif calls == "replace" and is_call(new) and not (is_call(old) and _same_target(old, new)):
            for key in [key for key in dict.keys(old) if not raw_contains(new, key)]:
                del old[key]
        for key, value in raw_items(new):
            present = raw_get(old, key)
            if type(present) is Node and type(value) is Node:
                work.append(((*path, key), present, value))
            else:
                record_write(old, key, value, _written(new if path else source, key), depth=3)
                raw_set(old, key, value)


def _written(node: Any, key: str) -> WrittenAt | None:
    """Return where a value was written that is taken from another config; None when that is not known."""
    is_known = type(node) is Node and (position_of(node) is not None or bool(writes_of(node, key)))
    return WrittenAt(node, key) if is_known else None


def _warn(path: Path, old: Any, new: Any, kept: list[str], remedy: str, depth: int) -> None:
    shown = ", ".join(f"{key}={short_repr(raw_get(old, key))}" for key in kept)
    warnings.warn(
        f"{format_path(path) or 'the config'} becomes a call of {target_name(raw_get(new, '_target_'))} "
        f"and keeps {shown}, which the new call does not name; {remedy} takes that call whole",
        stacklevel=depth,
    )
