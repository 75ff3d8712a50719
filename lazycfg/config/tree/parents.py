"""Whole trees of nodes: dicts turned into nodes, and every node told where it stands."""

from __future__ import annotations

from copy import copy

from lazycfg.config.tree.containers import LEAVES, inner_values
from lazycfg.config.tree.node import _HOLDERS, Node, raw_items, raw_node, raw_values
from lazycfg.config.tree.placed import adopt, parent_of, set_parent
from lazycfg.config.tree.position import notes_of
from lazycfg.config.tree.traversal import plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def to_nodes(value: Any) -> Any:
    """Turn every exact `dict` reachable from `value` into a `Node`; the same dict becomes the same node.

    Nodes and lists are changed in place, tuples are made anew where an element changed. Other objects are
    left alone.
    """
    made: dict[int, Any] = {}
    keep: list[Any] = []  # ids in `made` stay valid
    work: list[Any] = []

    def convert(item: Any) -> Any:
        kind = type(item)
        if kind not in _HOLDERS:
            return item
        if id(item) in made:
            return made[id(item)]
        keep.append(item)
        result = item
        if kind is tuple:
            parts = [convert(part) for part in item]
            if any(a is not b for a, b in zip(parts, item, strict=True)):
                result = tuple(parts)
        else:
            if kind is dict:
                result = raw_node(item)
            work.append(result)
        made[id(item)] = result
        return result

    root = convert(value)
    nodes = []
    while work:
        holder = work.pop()
        is_node = type(holder) is Node
        if is_node:
            nodes.append(holder)
        for key, item in list(raw_items(holder) if is_node else enumerate(holder)):
            new = convert(item)
            if new is not item:
                if is_node:
                    dict.__setitem__(holder, key, new)
                else:
                    holder[key] = new
    for node in nodes:
        for item in raw_values(node):
            if type(item) not in LEAVES:
                adopt(item, node)
    return root


def settle(root: Node) -> None:
    """Give every node of a whole config a parent in it: of a file that was loaded nothing is outside.

    A node that was first put somewhere in this tree keeps that parent; another gets the first place where it
    is reached.
    """
    first: dict[int, tuple[Node, Any]] = {}
    right: set[int] = set()  # nodes whose parent is in this tree
    seen: dict[int, Any] = {id(root): root}
    work: list[tuple[Any, Any]] = [(root, root)]  # containers, and what a node in them has as its parent
    while work:
        holder, place = work.pop()
        inner = []
        for child in inner_values(holder) or ():
            kind = type(child)
            if kind is not Node and (kind in LEAVES or inner_values(child) is None):
                continue
            if kind is Node:
                old = parent_of(child)
                if old is not None and _same_place(old, place):
                    right.add(id(child))
                first.setdefault(id(child), (child, place))
            if id(child) not in seen:
                seen[id(child)] = child
                inner.append((child, child if kind is Node else (child, place)))
        work += reversed(inner)
    for key, (node, place) in first.items():
        if key not in right and node is not root:
            set_parent(node, place)


def _same_place(first: Any, second: Any) -> bool:
    while type(first) is tuple and type(second) is tuple:
        if first[0] is not second[0]:
            return False
        first, second = first[1], second[1]
    return first is second


def overlay(node: Node) -> Node:
    """Return a shallow copy of a node that takes its place for one use: what stands in `node` stands in the
    copy for `check`, `instantiate` and `get_path`. So a part can be replaced without a change to the config.
    """
    result = copy(node)
    notes_of(result)["overlay"] = notes_of(node).get("overlay", node)
    return result


def freeze(cfg: Node) -> Node:
    """Refuse all further changes of a config, in place, and return it.

    Writing to a node raises `ReadOnlyError` from then on, and so do overrides; lists and dicts that are read
    are read-only. Building is not affected, nor are objects in the config. A copy (`cfg.copy()`, a pickled
    one) can be changed again.
    """
    for value, _, _ in plan(cfg):
        if type(value) is Node:
            notes_of(value)["frozen"] = True
    return cfg
