"""What `instantiate` built from which node: kept by weak references, for `origin` and `explain_errors`.

Nothing is kept alive by that but the nodes, and these only as long as one of the objects they built is.
"""

from __future__ import annotations

from types import FunctionType, ModuleType
from weakref import ref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lazycfg.config.tree.node import Node
    from lazycfg.config.tree.paths import Link


class _Entry(ref):  # type: ignore[type-arg]
    """A weak reference to a built object, with where it came from."""

    __slots__ = ("key", "place")
    key: int
    place: tuple[Node, Link]


# By id of the object; an entry goes when its object goes.
_entries: dict[int, _Entry] = {}


def _forget(entry: _Entry) -> None:
    if _entries.get(entry.key) is entry:
        del _entries[entry.key]


def remember(built: list[tuple[Any, Node, Link]]) -> None:
    """Remember what calls gave, each with its node and link, as far as weak references are possible."""
    for obj, node, link in built:
        if isinstance(obj, _LASTING):
            continue
        try:
            entry = _Entry(obj, _forget)
        except TypeError:
            continue
        entry.key, entry.place = id(obj), (node, link)
        # Of an object that several nodes returned (an attribute of another) the maker stays.
        old = _entries.setdefault(entry.key, entry)
        if old is not entry and old() is not obj:
            _entries[entry.key] = entry


_LASTING = (type, FunctionType, ModuleType)  # what a call returns of these it did not make


def source_of_object(obj: Any) -> tuple[Node, Link] | None:
    """Return the node that `instantiate` built an object from, with its link; None when it did not."""
    entry = _entries.get(id(obj))
    return entry.place if entry is not None and entry() is obj else None
