"""One traversal for everything that goes through a whole tree: build, check, copy, compare, save.

Containers are nodes, dicts, lists, tuples, named tuples and dataclass objects; everything else is a leaf. A
container that is reached twice is visited once. Nothing here recurses, so that a tree may be as deep as it
likes.
"""

from __future__ import annotations

import types

from lazycfg.config.errors import CycleError
from lazycfg.config.node import _HOLDERS, REQUIRED, Node, _inherit, _set_looked, raw_get, raw_items, raw_set
from lazycfg.config.paths import MISSING, format_path, unlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any, TypeAlias

    from lazycfg.config.paths import Key, Link, Path

    Resolve: TypeAlias = "Callable[[str, list[Any], Link], tuple[Any, list[Any]]]"
    Visit: TypeAlias = "tuple[Any, Any, Link, Any]"

__all__ = [
    "children",
    "containers",
    "deep_copy",
    "has_fields",
    "plan",
    "rebuild",
    "same_tree",
    "survey",
    "walk",
]

# What most values are: passed over with one lookup of their type. Anything else is looked at more closely.
ATOMS = frozenset(
    (
        *(int, float, bool, complex, bytes, type(None), type, type(...), range, slice),
        *(types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType),
    )
)


def has_fields(value: Any) -> bool:
    """Whether `value` is an object of a dataclass (not the class itself)."""
    return hasattr(type(value), "__dataclass_fields__")


def children(value: Any) -> Iterable[tuple[Key, Any]] | None:
    """The children of a container with their keys, as stored; None for a leaf.

    Keys are those of the dict, indices, or names of fields. The target of a node is its child `_target_`.
    """
    kind = type(value)
    if kind is Node or kind is dict:
        return raw_items(value)
    if kind is list or kind is tuple:
        return enumerate(value)
    return _odd_children(value, kind)


def _odd_children(value: Any, kind: type) -> Iterable[tuple[Key, Any]] | None:
    if kind in ATOMS or kind is str or isinstance(value, type):
        return None
    if isinstance(value, tuple):
        fields = getattr(kind, "_fields", None)  # other subclasses of tuple (torch.Size) are leaves
        return zip(fields, value, strict=False) if fields is not None else None
    if isinstance(value, dict):
        return value.items()
    if hasattr(kind, "__dataclass_fields__"):
        return [(name, getattr(value, name)) for name in kind.__dataclass_fields__ if hasattr(value, name)]
    return None


def plan(root: Any) -> list[tuple[Any, Any, Link]]:
    """All containers below and including `root`, children before parents, left before right, each once.

    An entry is (container, a copy of its contents, link); the first time that a container is reached decides
    its path. Raises `CycleError` for a container inside itself.
    """
    return [(value, contents, link) for value, contents, link, _ in survey(root).visits]


class Survey:
    """What `survey` saw of a tree.

    Attributes:
        visits: (container, a copy of its contents, link, the copy that it stands in first) for every
        container,
            children before parents. The copy is a dict for a node or dict, a list for a list, and a dict by
            index or field for any other container; what stands in place of a child is put where the child
            was found.
        shared: by id of a container, the further places where it stands: (copy of contents, key).
        required: (container, key, link) of everything that is `REQUIRED` or "???".
    """

    __slots__ = ("required", "shared", "visits")

    def __init__(self) -> None:
        self.visits: list[Visit] = []
        self.shared: dict[int, list[tuple[Any, Key]]] = {}
        self.required: list[tuple[Any, Key, Link]] = []


def survey(root: Any, link: Link = None, resolve: Resolve | None = None) -> Survey:
    """Go through a whole tree.

    With `resolve`, the copies hold what strings with `${` stand for, and containers found that way are
    visited too; `resolve` is given the text, the containers above it and the link, and returns the value
    with the containers above that. Tuples with nothing but numbers in them are then passed over. Raises
    `CycleError`.
    """
    result = Survey()
    visits, shared = result.visits, result.shared
    items: Any = children(root)
    if items is None:
        return result
    done = {id(root): False}
    stack: list[Any] = []
    bases: dict[int, list[Any]] = {}  # the chains of containers that were reached through an interpolation
    value, rest, above = root, iter(items), None
    contents: Any = root.copy() if type(root) is list else {}
    while True:
        for key, child in rest:
            contents[key] = child
            kind = type(child)
            if kind in ATOMS:
                continue
            if kind is str:
                if "${" in child and resolve is not None:
                    child, base = resolve(child, _chain(value, stack, bases), (link, key))
                    contents[key] = child
                    kind = type(child)
                    if kind is not str and children(child) is not None:
                        bases.setdefault(id(child), base)
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
                items = raw_items(child) if kind is dict else _odd_children(child, kind)
                if items is None:
                    if child is REQUIRED:
                        result.required.append((value, key, link))
                    continue
            mark = id(child)
            if mark in done:
                if not done[mark]:
                    raise CycleError(_cycle(child, value, key, link, stack))
                shared.setdefault(mark, []).append((contents, key))
                continue
            done[mark] = False
            stack.append((value, contents, link, above, rest))
            value, contents, link, above, rest = child, inner, (link, key), contents, iter(items)
            break
        else:
            visits.append((value, contents, link, above))
            done[id(value)] = True
            if not stack:
                return result
            value, contents, link, above, rest = stack.pop()


def _chain(value: Any, stack: list[Any], bases: dict[int, list[Any]]) -> list[Any]:
    """The containers above and including `value`, topmost first; of a container that an interpolation led to,
    those above its own place."""
    chain: list[Any] = []
    for holder in (value, *(entry[0] for entry in reversed(stack))):
        if id(holder) in bases:
            return [*bases[id(holder)], *reversed(chain)]
        chain.append(holder)
    chain.reverse()
    from lazycfg.config.interpolation import chain_of

    return [*chain_of(chain[0]), *chain[1:]]


def _cycle(child: Any, value: Any, key: Key, link: Link, stack: list[Any]) -> str:
    here = format_path(unlink((link, key)))
    outer = link if value is child else next((entry[2] for entry in stack if entry[0] is child), None)
    there = format_path(unlink(outer)) or "the root"
    return f"config path {here!r} leads back to {there!r}: a config cannot contain itself"


def containers(root: Any) -> Iterator[tuple[Path, Any]]:
    """Every container with its path, children before parents, each once. Raises `CycleError`."""
    for value, _, link in plan(root):
        yield unlink(link), value


def walk(root: Any) -> Iterator[tuple[Path, Any]]:
    """Every value with its path, parents before children, left to right; a container is entered once.

    A container that is reached again is reported again, without its children, so that sharing can be shown.
    The children may be changed by the caller while it walks: those of a container are read when the walk
    goes on.
    """
    seen: set[int] = set()
    stack: list[tuple[Link, Any]] = [(None, root)]
    while stack:
        link, value = stack.pop()
        yield unlink(link), value
        if type(value) in ATOMS or type(value) is str or id(value) in seen:
            continue
        items = children(value)
        if items is None:
            continue
        seen.add(id(value))
        stack.extend(reversed([((link, key), child) for key, child in items]))


def rebuild(value: Any, changes: dict[Key, Any]) -> Any:
    """A container like `value` with some children replaced; `value` itself is left alone.

    Lists and dicts are always new; a tuple or a dataclass object without changes is itself. A `Node` gives a
    `Node`.
    """
    kind = type(value)
    if kind is Node:
        node = Node(raw_items(value))
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
    """A container like `value` with these contents, which are those that `survey` copied or what takes their
    place. A tuple or a dataclass object of which nothing changed is itself."""
    kind = type(value)
    if kind is list or kind is dict:
        return contents
    if kind is tuple:
        parts = tuple(contents.values())
        return parts if any(a is not b for a, b in zip(parts, value, strict=True)) else value
    changes = {key: contents[key] for key, child in children(value) or () if contents[key] is not child}
    return rebuild(value, changes)


def deep_copy(root: Any, memo: dict[int, Any] | None = None) -> Any:
    """`copy.deepcopy` that does not recurse into the containers of a config; sharing is kept."""
    from copy import deepcopy

    memo = {} if memo is None else memo
    alive = memo.setdefault(id(memo), [])  # the convention of copy: ids in the memo stay valid
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
            copied: Any = Node(contents)
            contents.pop("_target_", None)
            _set_looked(copied, contents)
            _inherit(value, copied, parent=value is root)
        elif kind is list or kind is dict:
            copied = contents
        elif kind is tuple:
            copied = tuple(contents.values()) if changed else value
        else:
            copied = deepcopy(value, memo)
        memo[id(value)] = copied
        alive.append(value)
    return memo[id(root)]


def same_tree(first: Any, second: Any) -> bool:
    """Whether two trees are equal as dicts, lists and tuples are, whatever their depth."""
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
    """`a == b` as one bool, also for arrays and tensors, which compare element by element."""
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
