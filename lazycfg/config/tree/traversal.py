"""One traversal for everything that goes through a whole tree: build, check, copy, compare, save.

Containers are nodes, dicts, lists, tuples, named tuples, and objects of dataclasses and of attrs classes;
everything else is a leaf. A container that is reached twice is visited once. Nothing here recurses, so that a
tree may be as deep as it likes.
"""

from __future__ import annotations

import types

from lazycfg.config.errors import CycleError
from lazycfg.config.tree.chains import chain_above, extend
from lazycfg.config.tree.containers import (
    ATOMS,
    LEAVES,
    ReadList,
    children,
    hides_nodes,
    inner_values,
    odd_children,
    to_plain,
)
from lazycfg.config.tree.from_omegaconf import as_ours, has_calls, is_omegaconf
from lazycfg.config.tree.node import _HOLDERS, Node, _inherit, _read, raw_get, raw_items, raw_node, raw_set
from lazycfg.config.tree.paths import MISSING, format_path, unlink
from lazycfg.config.tree.placed import parent_of, set_parent
from lazycfg.config.tree.reading import read_in_chain
from lazycfg.config.tree.required import REQUIRED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, TypeAlias

    from lazycfg.config.tree.chains import Chain
    from lazycfg.config.tree.paths import Key, Link, Path
    from lazycfg.config.tree.placed import Standing

    # Given a text, its chain, the chain along which it was reached where that is another one, and its link.
    Resolve: TypeAlias = "Callable[[str, Chain, Chain | None, Link], tuple[Any, Chain]]"
    Visit: TypeAlias = "tuple[Any, Any, Link, Any]"


def plan(root: Any) -> list[tuple[Any, Any, Link]]:
    """Return all containers below and including `root`, children before parents, left before right, each
    once.

    An entry is (container, a copy of its contents, link); the first time that a container is reached decides
    its path. Raises `CycleError` for a container inside itself.
    """
    return [(value, contents, link) for value, contents, link, _ in survey(root).visits]


class Survey:
    """What `survey` saw of a tree.

    Attributes:
        visits: (container, a copy of its contents, link, the copy that it stands in first) for every
            container, children before parents. The copy is a dict for a node or dict, a list for a list, and
            a dict by index or field for any other container; what stands in place of a child is put where
            the child was found.
        shared: by id of the copy of a container's contents, the further places where the container stands:
            (copy of contents, key).
        places: of those that are not reached by an interpolation: (container, chain of the holder, link,
            holder).
        required: (container, key, link) of everything that is `REQUIRED` or "???".
        odd: (container, key, link) of every bound method, and of what hides nodes; with `resolve` only.
    """

    __slots__ = ("odd", "places", "required", "shared", "visits")

    def __init__(self) -> None:
        self.visits: list[Visit] = []
        self.shared: dict[int, list[tuple[Any, Key]]] = {}
        self.places: list[tuple[Any, Chain, Link, Any]] = []
        self.required: list[tuple[Any, Key, Link]] = []
        self.odd: list[tuple[Any, Key, Link]] = []


def survey(
    root: Any,
    start: Link = None,
    resolve: Resolve | None = None,
    *,
    building: bool = False,
) -> Survey:
    """Go through a whole tree.

    With `resolve`, the copies hold what strings with `${` stand for, and containers found that way are
    visited too; dicts with a `_target_` are visited as nodes, and tuples with nothing but numbers in them are
    passed over. Raises `CycleError`.

    Args:
        root: a container; of anything else nothing is seen.
        start: the link of the root.
        resolve: returns the value of a text, and the chain that ends with it.
        building: do not enter nodes with `_recursive_=False`, whose arguments are handed on as they are.
    """
    result = Survey()
    visits, shared = result.visits, result.shared
    items: Any = children(root)
    if items is None:
        return result
    done: dict[int, Any] = {id(root): None}  # by id of a container: the copy of its contents, once it is left
    stack: list[Any] = []
    standing: Standing = {}
    value, rest, link, above = root, iter(items), start, None
    contents: Any = list(root) if isinstance(root, list) else {}
    chain: Any = None  # of `value`, along the parents of the nodes, and along the way here where it differs
    way: Any = None
    if resolve is not None:
        chain = chain_above(root)
        if type(root) is dict and "_target_" in root:
            value = raw_node(root)
        if building and type(value) is Node and raw_get(value, "_recursive_") is False:
            contents, rest = _hand_on(value, chain, start, resolve, result), iter(())
    while True:
        for key, child in rest:
            contents[key] = child
            kind = type(child)
            if kind in ATOMS:
                continue
            base = None
            if kind is str:
                if "${" in child and resolve is not None:
                    child, base = resolve(child, chain, way, (link, key))
                    contents[key] = child
                    kind = type(child)
                if kind is str:
                    if child == "???":
                        result.required.append((value, key, link))
                    continue
            if kind is Node:
                inner: Any = {}
                items = raw_items(child)
            elif kind is list:
                inner = child.copy()
                items = () if ATOMS.issuperset(map(type, child)) else enumerate(child)
            elif kind is tuple:
                if resolve is not None and ATOMS.issuperset(map(type, child)):
                    continue
                inner = {}
                items = enumerate(child)
            else:
                inner = {}
                items = raw_items(child) if kind is dict else odd_children(child)
                if items is None and resolve is not None and kind.__module__.startswith("omegaconf."):
                    child, base = _with_calls(child, done)
                    kind, items = type(child), children(child)
                    inner = list(child) if kind is list else {}
                if items is None:
                    if child is REQUIRED:
                        result.required.append((value, key, link))
                    elif resolve is not None and (kind is types.MethodType or hides_nodes(child)):
                        result.odd.append((value, key, link))
                    continue
                if kind is ReadList:
                    inner = list(child)
            mark = id(child)
            if mark in done:
                if done[mark] is None:
                    raise CycleError(_cycle(child, value, key, link, stack))
                shared.setdefault(id(done[mark]), []).append((contents, key))
                if base is None and resolve is not None:
                    result.places.append((child, way or chain, (link, key), value))
                continue
            done[mark] = None
            stack.append((value, contents, link, above, rest, chain, way, mark))
            if resolve is not None:
                if base is not None:
                    chain, way = base, None
                else:
                    way = None if way is None else (child, way, way[2])
                    parent = parent_of(child) if kind is Node else None
                    if parent is None or parent is value:
                        chain = (child, chain, chain[2])
                    else:
                        chain, way = _both_ways(child, chain, way, standing)
                if kind is Node or (kind is dict and "_target_" in child):
                    if kind is dict:
                        child = raw_node(child)
                    if building and raw_get(child, "_recursive_") is False:
                        inner, items = _hand_on(child, chain, (link, key), resolve, result), ()
            value, contents, link, above, rest = child, inner, (link, key), contents, iter(items)
            break
        else:
            visits.append((value, contents, link, above))
            if not stack:
                return result
            left = contents
            value, contents, link, above, rest, chain, way, mark = stack.pop()
            done[mark] = left


def _with_calls(value: Any, done: dict[int, Any]) -> tuple[Any, Chain | None]:
    """Return a container of OmegaConf that has calls in it as nodes, with its chain; any other is itself."""
    if not is_omegaconf(value) or not has_calls(value):
        return value, None
    kept = done.setdefault(-id(value), as_ours(value))  # no id is negative: the same one gives the same node
    return kept, chain_above(kept)


def _hand_on(node: Node, chain: Chain, link: Link, resolve: Resolve, result: Survey) -> dict[Any, Any]:
    """Return the contents of a node whose arguments are not built: nodes stay nodes, texts are resolved."""
    contents = {}
    for key, child in raw_items(node):
        if type(child) is str and "${" in child:
            child, way = resolve(child, chain, None, (link, key))
            if type(child) not in LEAVES and type(child) is not Node:
                child = to_plain(read_in_chain(child, way))
        elif type(child) not in LEAVES and key != "_target_":
            child = to_plain(_read(node, key))
        if child is REQUIRED or (type(child) is str and child == "???"):
            result.required.append((node, key, link))
        contents[key] = child
    return contents


def _both_ways(
    child: Node, chain: Chain, way: Chain | None, standing: Standing
) -> tuple[Chain, Chain | None]:
    """Return the chain of a node along its parents, and the way that led to it where that is another one."""
    own = extend(chain, child, standing)
    if own[1] is chain:
        return own, way
    return own, way or (child, chain, chain[2])


def _cycle(child: Any, value: Any, key: Key, link: Link, stack: list[Any]) -> str:
    here = format_path(unlink((link, key)))
    outer = link if value is child else next((entry[2] for entry in stack if entry[0] is child), None)
    there = format_path(unlink(outer)) or "the root"
    return f"config path {here!r} leads back to {there!r}: a config cannot contain itself"


def walk(root: Any) -> Iterator[tuple[Path, Any]]:
    """Yield every value with its path, parents before children, left to right; a container is entered once.

    A container that is reached again is reported again, without its children, so that sharing can be shown.
    The children may be changed by the caller while it walks: those of a container are read when the walk
    goes on.
    """
    for link, value in walk_links(root):
        yield unlink(link), value


def walk_links(root: Any) -> Iterator[tuple[Link, Any]]:
    """Yield what `walk` does with links, which cost the same at every depth, in place of paths."""
    seen: set[int] = set()
    stack: list[tuple[Link, Any]] = [(None, root)]
    while stack:
        link, value = stack.pop()
        yield link, value
        if type(value) in LEAVES or id(value) in seen:
            continue
        items = children(value)
        if items is None:
            continue
        seen.add(id(value))
        stack.extend(reversed([((link, key), child) for key, child in items]))


def rebuild(value: Any, changes: dict[Key, Any]) -> Any:
    """Return a container like `value` with some children replaced; `value` itself is left alone.

    Lists and dicts are always new; a tuple or an object with fields without changes is itself. A `Node` gives
    a `Node`.
    """
    kind = type(value)
    if kind is Node:
        node: Node = raw_node(value)
        _inherit(value, node)
        for key, child in changes.items():
            raw_set(node, key, child)
        return node
    if kind is dict:
        return {**value, **changes}
    if kind is list:
        result = value.copy()
        for key, child in changes.items():
            result[key] = child
        return result
    if not changes and not isinstance(value, dict):
        return value
    if isinstance(value, tuple):
        if kind is tuple:
            return tuple(changes.get(index, child) for index, child in enumerate(value))
        return value._replace(**changes)  # type: ignore[attr-defined]
    import copy

    result = copy.copy(value)
    if isinstance(value, dict):
        result.update(changes)
    else:
        for name, child in changes.items():
            object.__setattr__(result, name, child)
    return result


def refill(value: Any, contents: Any) -> Any:
    """Return a container like `value` with these contents: those that `survey` copied, or what takes their
    place. A tuple or an object with fields of which nothing changed is itself.
    """
    kind = type(value)
    if kind is list or kind is dict or kind is ReadList:
        return contents
    if kind is tuple:
        parts = tuple(contents.values())
        return parts if any(a is not b for a, b in zip(parts, value, strict=True)) else value
    changes = {key: contents[key] for key, child in children(value) or () if contents[key] is not child}
    return rebuild(value, changes)


def deep_copy(root: Any, memo: dict[int, Any] | None = None) -> Any:
    """Do `copy.deepcopy` without recursing into the containers of a config; sharing is kept."""
    from copy import deepcopy

    memo = {} if memo is None else memo
    alive = memo.setdefault(id(memo), [])  # the convention of copy: ids in the memo stay valid
    nodes = []
    for value, contents, _ in plan(root):
        if id(value) in memo:
            continue
        kind = type(value)
        changed = False
        if kind in _HOLDERS:
            for key, child in contents.items() if type(contents) is dict else enumerate(contents):
                if type(child) in ATOMS or type(child) is str:
                    continue
                new = memo.get(id(child), MISSING)
                if new is MISSING:
                    new = deepcopy(child, memo)
                contents[key] = new
                changed = changed or new is not child
        if kind is Node:
            copied: Any = raw_node(contents)
            _inherit(value, copied, parent=value is root)
            nodes.append((value, copied))
        elif kind is list or kind is dict:
            copied = contents
        elif kind is tuple:
            copied = tuple(contents.values()) if changed else value
        else:
            copied = deepcopy(value, memo)
        memo[id(value)] = copied
        alive.append(value)
    for value, copied in nodes:
        if value is not root:
            set_parent(copied, _copied_place(parent_of(value), memo))
    return memo[id(root)]


def _copied_place(place: Any, memo: dict[int, Any]) -> Any:
    """Return what a copy stands in: the copy of what its original stands in; None when that is not copied."""
    if type(place) is tuple:
        above = _copied_place(place[1], memo)
        return None if above is None or id(place[0]) not in memo else (memo[id(place[0])], above)
    return memo.get(id(place))


def far_below(root: Any) -> list[Any]:
    """Return the containers that stand `_FAR` levels below a container: few trees have any."""
    level = [root]
    seen = {id(root)}
    for _ in range(_FAR):
        below = []
        for holder in level:
            for child in inner_values(holder) or ():
                if type(child) not in LEAVES and id(child) not in seen and inner_values(child) is not None:
                    seen.add(id(child))
                    below.append(child)
        level = below
    return level


def own_nodes(node: Node) -> list[Node]:
    """Return the nodes that have their parent in a node: itself, or a list in it."""
    found: list[Node] = []
    work: list[Any] = [*dict.values(node)]
    seen: set[int] = set()
    while work:
        value = work.pop()
        if type(value) is Node:
            parent = parent_of(value)
            while type(parent) is tuple:
                parent = parent[1]
            if parent is node:
                found.append(value)
        elif type(value) not in LEAVES and id(value) not in seen:
            seen.add(id(value))
            work += inner_values(value) or ()
    return found


_FAR = 110  # about the square root of the depth that pickle can take then


def same_tree(first: Any, second: Any) -> bool:
    """Return whether two trees are equal as dicts, lists and tuples are, whatever their depth."""
    seen: set[tuple[int, int]] = set()
    work = [(first, second)]
    while work:
        a, b = work.pop()
        if a is b:
            continue
        holders = type(a) in _HOLDERS and type(b) in _HOLDERS
        if holders:
            pair = (id(a), id(b))
            if pair in seen:
                continue
            seen.add(pair)
        if holders and isinstance(a, dict) and isinstance(b, dict):
            if len(a) != len(b):
                return False
            for key, child in raw_items(a):
                other = raw_get(b, key, seen)
                if other is seen:
                    return False
                work.append((child, other))
        elif holders and type(a) is type(b):
            if len(a) != len(b):
                return False
            work.extend(zip(a, b, strict=True))
        elif not same_leaf(a, b):
            return False
    return True


def same_leaf(a: Any, b: Any) -> bool:
    """Return `a == b` as one bool, also for arrays and tensors, which compare element by element."""
    if a is b:
        return True
    equal: Any = a == b
    if type(equal) is bool:
        return equal
    try:
        shapes = getattr(a, "shape", None), getattr(b, "shape", None)
        return bool(equal.all()) and shapes[0] == shapes[1] if hasattr(equal, "all") else bool(equal)
    except (TypeError, ValueError, RuntimeError):
        return False
