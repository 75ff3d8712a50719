"""Where a node stands: its parent, and how it gets one.

A node knows its parent, and its parent is where it was put first; the next place once it has been taken out
of there. What is said of a list here holds for every container that is no node.
"""

from __future__ import annotations

from itertools import repeat
from operator import is_

from lazycfg.config.tree.containers import LEAVES, inner_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, TypeAlias

    # By id of a parent, the parent and the ids of what is in it; no ids where it does not stand itself.
    Standing: TypeAlias = "dict[int, tuple[Any, set[int]]]"
    _DictBase = dict[Any, Any]
else:
    _DictBase = dict


class Placed(_DictBase):
    """A dict that knows what it stands in: a node, or a pair of (list, what that stands in), or None."""

    __slots__ = ("_lz_parent",)


_SLOT: Any = Placed._lz_parent  # type: ignore[attr-defined]
set_parent, parent_of = _SLOT.__set__, _SLOT.__get__


def adopt(value: Any, parent: Any) -> None:
    """Tell the nodes in `value` that stand nowhere else that they stand in `parent` now.

    Args:
        value: a node; or a list, of which the nodes in it are told; or a leaf.
        parent: a node, or a pair of (list, its parent).
    """
    if not isinstance(value, Placed):
        _adopt_all(value, parent)
        return
    old = parent_of(value)
    free = old is None or (old is not parent and not stands_in(value, old))
    if free and parent is not value:
        set_parent(value, parent)


def _adopt_all(value: Any, parent: Any) -> None:
    """Do `adopt` for a list; each container is searched once, however many nodes are in it."""
    work = [(value, parent)]
    entered = {id(value)}
    standing: Standing = {}
    while work:
        place = work.pop()
        inside = inner_values(place[0]) or ()
        adopt_into(place, inside, standing)
        for child in inside:
            kind = type(child)
            if kind not in LEAVES and not isinstance(child, Placed) and id(child) not in entered:
                entered.add(id(child))
                work.append((child, place))


def adopt_into(place: tuple[Any, Any], inside: Iterable[Any], standing: Standing) -> None:
    """Tell the nodes among the elements of a list that stand nowhere else that they stand in it: `place`."""
    for child in inside:
        if isinstance(child, Placed):
            old = parent_of(child)
            if type(old) is tuple and old[0] is place[0] and old[1] is place[1]:
                continue
            if old is None or not stands_in(child, old, standing):
                set_parent(child, place)


def stands_in(child: Any, parent: Any, standing: Standing | None = None) -> bool:
    """Return whether `child` is still in `parent`, that in its own parent, and so on to the top.

    `standing` is what was found out in the same traversal, during which nothing changes; it is added to.
    """
    if standing is not None:
        return id(child) in _standing_in(parent, standing)
    seen: set[int] = set()
    while parent is not None:
        holder, above = parent if type(parent) is tuple else (parent, parent_of(parent))
        if id(holder) in seen:
            return False
        seen.add(id(holder))
        if not any(map(is_, inner_values(holder) or (), repeat(child))):
            return False
        child, parent = holder, above
    return True


def _standing_in(parent: Any, standing: Standing) -> set[int]:
    """Return the ids of what is in `parent`; nothing where that is not in its own parent any more."""
    way: list[tuple[Any, Any, set[int]]] = []
    seen: set[int] = set()
    step = parent
    stands = True
    while step is not None and id(step) not in standing:
        holder, above = step if type(step) is tuple else (step, parent_of(step))
        if id(holder) in seen:
            stands = False
            break
        seen.add(id(holder))
        way.append((step, holder, {id(value) for value in inner_values(holder) or ()}))
        step = above
    inside = standing[id(step)][1] if step is not None and stands else None
    for step, holder, ids in reversed(way):
        stands = stands and (inside is None or id(holder) in inside)
        inside = ids if stands else set()
        standing[id(step)] = (step, inside)
    return inside or set()
