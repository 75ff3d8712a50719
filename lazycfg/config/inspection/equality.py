"""When two configs are equal: what they would build, and what is shared, is the same.

Classes and functions are equal when they are the same object, have the same import name, or, for those of
config files, have the same source and refer to equal things under the same names. A node that stands at
several places of one config must stand at the same places of the other. The order of keys does not matter;
nan equals nan.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import Any

from lazycfg.config.formats.encode import encode
from lazycfg.config.formats.items import SHARED, Encoded, Item

__all__ = ["equal_configs", "without_layout"]


def equal_configs(first: Any, second: Any) -> bool:
    """Whether two configs are equal in the sense of this module.

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
    """The pairs that must be equal for two items to be equal; None when they are not."""
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
    for (key, value), (other_key, other_value) in zip(a.parts, b.parts, strict=True):
        if isinstance(key, Item) and isinstance(other_key, Item):
            below.append((key, other_key))
        elif type(key) is not type(other_key) or key != other_key:
            return None
        below.append((value, other_value))
    return below


def _sequence(key: str, value: Encoded) -> Encoded:
    """``_args_`` means the same as list and as tuple."""
    if key == "_args_" and isinstance(value, Item) and value.kind == "list":
        same = Item("tuple", None, value.path)
        same.parts = value.parts
        return same
    return value


@lru_cache(maxsize=1024)
def without_layout(source: str) -> str:
    """What a definition says, without its comments and line breaks."""
    return ast.unparse(ast.parse(source))
