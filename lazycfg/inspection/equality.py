"""When two configs are equal: what they would build, and what is shared, is the same.

Classes and functions are equal when they are the same object, have the same import name, or, for those of
config files, have the same source and refer to equal things under the same names. A node that is at
several places of one config must stand at the same places of the other. The order of keys does not matter;
nan equals nan.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import Any

from lazycfg.config.errors import ConfigError
from lazycfg.config.formats.encode import encode
from lazycfg.config.formats.items import SHARED, Encoded, Item
from lazycfg.config.tree.containers import ReadDict, ReadList, children
from lazycfg.config.tree.node import Node, is_call
from lazycfg.config.tree.required import REQUIRED
from lazycfg.config.tree.targets import is_deferred, name_of_target
from lazycfg.config.tree.traversal import same_leaf


def equal_configs(first: Any, second: Any) -> bool:
    """Return whether two configs are equal in the sense of this module.

    Raises:
        SaveError: one of them holds an object that has no spelling, so that nothing is known about it.
    """
    pairs: dict[int, int] = {}
    back: dict[int, int] = {}
    work: list[tuple[Encoded, Encoded]] = [(encode(first), encode(second))]
    while work:
        a, b = work.pop()
        if not isinstance(a, Item) or not isinstance(b, Item):
            if type(a) is not type(b) or (a != b and (a == a or b == b)):
                return False
            continue
        if id(a) in pairs:
            if pairs[id(a)] != id(b) and a.kind in SHARED:
                return False
            if pairs[id(a)] == id(b):
                continue
        elif id(b) in back and b.kind in SHARED:
            return False
        pairs[id(a)], back[id(b)] = id(b), id(a)
        below = _compare(a, b)
        if below is None:
            return False
        work += below
    return True


def _compare(a: Item, b: Item) -> list[tuple[Encoded, Encoded]] | None:
    """Return the pairs that must be equal for two items to be equal; None when they are not."""
    if a.kind != b.kind or len(a.parts) != len(b.parts):
        return None
    below: list[tuple[Encoded, Encoded]] = []
    if a.kind == "source":
        if without_layout(a.value.source) != without_layout(b.value.source):
            return None
    elif isinstance(a.value, Item):
        below.append((a.value, b.value))
    elif a.kind == "name":
        if str(a.value) != str(b.value):  # where the module ends and the name in it begins does not count
            return None
    elif a.value is not b.value and a.value != b.value:
        return None
    if a.kind in ("call", "dict", "object", "source"):
        other = dict(b.parts)
        if dict(a.parts).keys() != other.keys():
            return None
        return below + [(_sequence(key, value), _sequence(key, other[key])) for key, value in a.parts]
    for (key, value), (other_key, other_value) in zip(a.parts, _in_order_of(a, b), strict=True):
        if isinstance(key, Item) and isinstance(other_key, Item):
            below.append((key, other_key))
        elif type(key) is not type(other_key) or key != other_key:
            return None
        below.append((value, other_value))
    return below


def _in_order_of(a: Item, b: Item) -> list[tuple[Any, Encoded]]:
    """Return the parts of `b`, in the order of `a` where both are dicts with the same keys."""
    if a.kind != "pairs" or not isinstance(a.obj, dict) or not isinstance(b.obj, dict):
        return b.parts
    own = dict(zip(dict.keys(b.obj), b.parts, strict=True))
    return [own[key] for key in dict.keys(a.obj)] if own.keys() == dict.keys(a.obj) else b.parts


def _sequence(key: str, value: Encoded) -> Encoded:
    """Return ``_args_`` as a tuple: it means the same as a list."""
    if key == "_args_" and isinstance(value, Item) and value.kind == "list":
        same = Item("tuple", None, value.path)
        same.parts = value.parts
        return same
    return value


@lru_cache(maxsize=1024)
def without_layout(source: str) -> str:
    """Return what a definition says, without its comments and line breaks."""
    return ast.unparse(ast.parse(source))


# ---------------------------------------------------------------- part by part, as `diff` shows it


def same_parts(old: Any, new: Any, importing: bool) -> bool:
    """Return whether two values are equal all the way down, sharing aside."""
    work: list[tuple[Any, Any, Any]] = [("", old, new)]
    seen: set[tuple[int, int]] = set()
    while work:
        key, a, b = work.pop()
        if a is b or (id(a), id(b)) in seen:
            continue
        if not alike(a, b):
            if not same_leaf_of(key, a, b, importing):
                return False
            continue
        seen.add((id(a), id(b)))
        left, right = dict(children(a) or ()), dict(children(b) or ())
        if left.keys() != right.keys():
            return False
        work += [(key, value, right[key]) for key, value in left.items()]
    return True


def kind_of(value: Any) -> type:
    """Return the type of a value; a list or dict that was read from a config is one as any other."""
    kind = type(value)
    return list if kind is ReadList else dict if kind is ReadDict else kind


def same_leaf_of(key: Any, old: Any, new: Any, importing: bool) -> bool:
    """Return whether two values without parts are equal at a key; at `_target_` names count, too."""
    return _same_target(old, new, importing) if key == "_target_" else _same_value(old, new)


def alike(old: Any, new: Any) -> bool:
    """Return whether two values are compared part by part."""
    if kind_of(old) in (dict, Node):
        return kind_of(new) in (dict, Node) and is_call(old) == is_call(new)
    return children(old) is not None and not isinstance(old, dict) and _same_class(kind_of(old), kind_of(new))


def _same_value(old: Any, new: Any) -> bool:
    if old is new:
        return True
    if callable(old) and callable(new):
        return _same_callable(old, new)
    if type(old) is not type(new):
        if old is REQUIRED or new is REQUIRED:
            return any(type(value) is str and value == "???" for value in (old, new))
        return _same_class(type(old), type(new)) and _same_source(old, new)
    if getattr(old, "dtype", None) != getattr(new, "dtype", None):  # arrays: 1 and 1.0 differ
        return False
    return same_leaf(old, new) or (type(old) is float and old != old and new != new)


def _same_target(old: Any, new: Any, importing: bool) -> bool:
    """Return whether two targets are the same; a name in text is as good as what it stands for."""
    if old == new if isinstance(old, str) and isinstance(new, str) else _same_value(old, new):
        return True
    if not isinstance(old, str) and not isinstance(new, str):
        return False
    importing = importing and not is_deferred(old) and not is_deferred(new)
    names = [name_of_target(value, importing=importing) for value in (old, new)]
    return names[0] == names[1]


def _same_callable(old: Any, new: Any) -> bool:
    """Return whether two callables are the same by name, else by source."""
    names = [name_of_target(value) for value in (old, new)]
    return names[0] == names[1] and (bool(names[0]) or _same_source(old, new))


def _same_class(old: type, new: type) -> bool:
    """Return whether two classes are one class of two loads of a config file, or of two files."""
    if old is new:
        return True
    return old.__qualname__ == new.__qualname__ and _same_callable(old, new)


def _same_source(old: Any, new: Any) -> bool:
    try:
        return equal_configs([old], [new])
    except ConfigError:
        return bool(old == new)
