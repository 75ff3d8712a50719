"""Going through the items of a config: children first, what is shared, what functions refer to."""

from __future__ import annotations

from collections.abc import Iterable

from lazycfg.config.formats.encode import Item

__all__ = ["SHARED", "all_sources", "children_of", "is_shared", "post_order", "reachable"]

# kinds whose identity matters: reached twice, they are written once
SHARED = frozenset({"call", "dict", "pairs", "list", "object", "construct", "partial", "set", "attribute"})


def post_order(roots: Iterable[Item]) -> list[Item]:
    """All items of a tree, children before parents, each once; ``uses`` counts how often each is reached.

    What functions refer to is not part of the tree.
    """
    order: list[Item] = []
    seen: set[int] = set()
    stack: list[tuple[Item, bool]] = [(root, False) for root in roots]
    while stack:
        item, left = stack.pop()
        if left:
            order.append(item)
            continue
        if id(item) in seen:
            continue
        seen.add(id(item))
        item.uses = 0
        stack.append((item, True))
        stack.extend((child, False) for child in reversed(children_of(item)))
    for item in order:
        for child in children_of(item):
            child.uses += 1
    return order


def children_of(item: Item) -> list[Item]:
    if item.kind == "source":
        return []
    found = [key for key, _ in item.parts if isinstance(key, Item)]
    found += [value for _, value in item.parts if isinstance(value, Item)]
    if isinstance(item.value, Item):
        found.append(item.value)
    return found


def all_sources(order: Iterable[Item], follow: bool = True) -> list[Item]:
    """The functions and classes among items and, with ``follow``, among all that they refer to."""
    found: dict[int, Item] = {}
    work = [item for item in order if item.kind == "source"]
    while work:
        item = work.pop(0)
        if id(item) in found:
            continue
        found[id(item)] = item
        if follow:
            references = [value for _, value in item.parts if isinstance(value, Item)]
            work += [below for below in reachable(references) if below.kind == "source"]
    return list(found.values())


def reachable(roots: list[Item]) -> list[Item]:
    seen: dict[int, Item] = {}
    work = list(roots)
    while work:
        item = work.pop()
        if id(item) not in seen:
            seen[id(item)] = item
            work.extend(children_of(item))
    return list(seen.values())


def is_shared(item: Item) -> bool:
    if item.uses < 2:
        return False
    return item.kind in SHARED or (item.kind == "tuple" and any(isinstance(v, Item) for _, v in item.parts))
