"""The records of a config that is to be written, and the graph that they form.

`encode` makes an `Item` of each value; the writers of Python, YAML and JSON go through them: children first,
what is shared, what functions refer to.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lazycfg.config.tree.paths import format_path, unlink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lazycfg.config.tree.paths import Link

# kinds whose identity matters: reached twice, they are written once
SHARED = frozenset({"call", "dict", "pairs", "list", "object", "construct", "partial", "set", "attribute"})


class Where:
    """A config path that is written out only when somebody asks, as that of a deep tree is long.

    Args:
        above: what comes before it: the place of what holds a function or a set, or text.
        link: the path from there.
    """

    __slots__ = ("_above", "_link")

    def __init__(self, above: Where | str = "", link: Link = None):
        self._above = above
        self._link = link

    def below(self, key: Any) -> Where:
        """Return the place of what stands at a key of it."""
        return Where(self._above, (self._link, key))

    def __str__(self) -> str:
        above, path = str(self._above), format_path(unlink(self._link))
        inside = " " if above.endswith(")") else "."  # of what a function refers to
        return f"{above}{inside}{path}" if above and path else above or path


class Item:
    """One value to be written; what ``value`` and ``parts`` hold depends on ``kind``.

    ==========  ============================================================================
    call, dict  parts: (key, encoded), as in the node
    pairs       parts: (encoded key, encoded value): a dict with other keys than strings
    list        parts: (index, encoded); likewise tuple, set, frozenset
    object      value: encoded class of a dataclass object or named tuple; parts: (field, encoded)
    construct   value: encoded callable; parts: (None or keyword, encoded argument)
    partial     value: encoded function; parts as for construct
    member      value: encoded class of an enum member; parts: (None, its name)
    attribute   value: encoded owner; parts: (None, the attribute's name)
    name        value: `ImportName`
    source      value: `Captured`; parts: (name, encoded) for all it refers to
    bytes, complex, path, required, ellipsis     value: itself
    unkept      value: text about a value that cannot be kept, in a file for reading
    ==========  ============================================================================
    """

    __slots__ = ("_where", "depth", "kind", "obj", "parts", "uses", "value")

    def __init__(
        self,
        kind: str,
        value: Any = None,
        path: Where | str = "",
        parts: Iterable[tuple[Any, Encoded]] = (),
    ):
        self.kind = kind
        self.value = value
        self.parts = list(parts)
        self._where = path
        self.uses = 0
        self.depth = 0
        self.obj: Any = None

    @property
    def path(self) -> str:
        """Return the config path of the value."""
        return str(self._where)

    def __repr__(self) -> str:
        return f"<Item {self.kind} {self.path}>"


Encoded = None | bool | int | float | str | Item


def post_order(roots: Iterable[Item]) -> list[Item]:
    """Return all items of a tree, children before parents, each once; ``uses`` counts how often each is
    reached.

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
    """Return the items that an item holds."""
    if item.kind == "source":
        return []
    found = [key for key, _ in item.parts if isinstance(key, Item)]
    found += [value for _, value in item.parts if isinstance(value, Item)]
    if isinstance(item.value, Item):
        found.append(item.value)
    return found


def all_sources(order: Iterable[Item], follow: bool = True) -> list[Item]:
    """Return the functions and classes among items and, with ``follow``, among all that they refer to."""
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


def reachable(roots: list[Item], but_through: frozenset[str] = frozenset()) -> list[Item]:
    """Return the items that the roots hold, at any depth, each once; what is only held by items of some kinds
    is left out.
    """
    seen: dict[int, Item] = {}
    work = list(roots)
    while work:
        item = work.pop()
        if id(item) not in seen:
            seen[id(item)] = item
            work.extend(children_of(item) if item.kind not in but_through else ())
    return list(seen.values())


def has_identity(item: Item) -> bool:
    """Return whether it matters that two places hold the same object, not an equal one."""
    return item.kind in SHARED or (item.kind == "tuple" and any(isinstance(v, Item) for _, v in item.parts))


def is_shared(item: Item) -> bool:
    """Return whether an item is reached more than once, and must be one object again."""
    return item.uses > 1 and has_identity(item)
