"""What the writers of YAML and JSON have in common: each `Item` as a tag and a plain payload."""

from __future__ import annotations

import base64
from pathlib import PurePath
from typing import Any, NamedTuple

from lazycfg.config.formats.document import CONFIG_KEY, LINKS_KEY, SHARED_KEY, SOURCE_KEY
from lazycfg.config.formats.encode import encode
from lazycfg.config.formats.items import SHARED, Encoded, Item, has_identity, is_shared, post_order
from lazycfg.config.formats.python_io import PythonWriter
from lazycfg.config.tree.targets import public_name

MAX_HEIGHT = 40  # deeper parts are written on their own: parsers of the data formats limit the nesting


class Shape(NamedTuple):
    """How an `Item` is written: ``tag`` or None, and a payload of dicts, lists, text, numbers and
    `Item`s.
    """

    tag: str | None
    payload: Any


class DataDocument:
    """A config ready to be written.

    Attributes:
        head: pairs that come before the config: source code and the values that are written on their own.
        tail: pairs that come after it: the parts of the config that source code refers to.
        body: the pairs of the config itself.
        hoisted: the items written in ``head``, with the name each has there.
        shared: the items that are reached more than once.
    """

    def __init__(self, root: Item) -> None:
        order = post_order([root])
        sources = [item for item in order if item.kind == "source"]
        self.head: list[tuple[str, Any]] = []
        self.tail: list[tuple[str, Any]] = []
        self._sources: dict[int, str] = {}
        self.hoisted: dict[int, str] = {}
        self.shared = {id(item) for item in order if is_shared(item)}
        if sources:
            writer = PythonWriter()
            tree = {id(item) for item in order if item.kind in SHARED}
            self.head.append((SOURCE_KEY, writer.definitions(sources, tree)))
            self._sources = {id(item): writer.variable(item) for item in sources}
            self.tail = [(LINKS_KEY, writer.links)] if writer.links else []
            self.shared |= {id(item) for item in writer.links.values()}
        heights: dict[int, int] = {}
        hoisted: list[Item] = []
        for item in order:
            children = [child for _, child in item.parts if isinstance(child, Item)]
            height = 1 + max((heights[id(child)] for child in children if id(child) in heights), default=0)
            heights[id(item)] = height
            if height >= MAX_HEIGHT and item is not root and item.kind != "source":
                hoisted.append(item)
                heights[id(item)] = 0
        for item in hoisted:
            self.hoisted[id(item)] = self.name(item)
        self._hoisted_items = hoisted
        plain = root.kind == "dict" and not any(map(_is_reserved, (key for key, _ in root.parts)))
        self.body: list[tuple[str, Any]] = list(root.parts) if plain else [(CONFIG_KEY, root)]

    def name(self, item: Item) -> str:
        """Return a new name for an item that is referred to."""
        words = [
            word for word in item.path.replace("[", ".").split(".") if word.isidentifier() and word.isascii()
        ]
        return f"{'_'.join(words[-2:]) or 'part'}_{len(self.hoisted) + 1}"

    def hoist(self, items: list[Item]) -> None:
        """Write further items on their own (JSON has no anchors)."""
        for item in items:
            if id(item) not in self.hoisted:
                self.hoisted[id(item)] = self.name(item)

    def shape(self, item: Item) -> Shape:
        """Return how an item is written."""
        kind, parts = item.kind, item.parts
        if kind == "dict":
            return Shape(None, dict(parts))
        if kind == "call":  # `_args_` is a tuple whatever is in the file
            return Shape(None, {k: _as_list(v) if k == "_args_" else v for k, v in parts})
        if kind in ("list", "tuple", "set", "frozenset"):
            return Shape(None if kind == "list" else kind, [value for _, value in parts])
        if kind == "pairs":
            return Shape("dict", [[key, value] for key, value in parts])
        if kind == "object":
            return Shape("object", {"_class_": item.value, **dict(parts)})
        if kind in ("construct", "partial"):
            args = [value for key, value in parts if key is None]
            return Shape(kind, [item.value, args, {key: value for key, value in parts if key is not None}])
        if kind in ("member", "attribute"):
            return Shape(kind, [item.value, parts[0][1]])
        return Shape(kind, self._atom(item))

    def _atom(self, item: Item) -> Any:
        value = item.value
        if item.kind == "name":
            return str(public_name(value, item.obj))
        if item.kind == "source":
            return self._sources[id(item)]
        if item.kind == "unkept":
            return value
        if item.kind == "bytes":
            return base64.b64encode(value).decode("ascii")
        if item.kind == "complex":
            return [repr(value.real), repr(value.imag)]
        if item.kind == "path":
            assert isinstance(value, PurePath)
            name = type(value).__name__
            return [name, str(value)] if "Pure" in name else str(value)
        return ""


def document(cfg: Any) -> tuple[DataDocument, list[Item]]:
    """Return the document of a config, and its items with children before parents.

    Raises:
        SaveError: something in it cannot be kept.
    """
    root = encode(cfg)
    made = DataDocument(root)
    return made, post_order([root])


def _is_reserved(key: str) -> bool:
    """Return whether a key at the top of a data file means something of its own: that of JSON is a tag."""
    return key in (SOURCE_KEY, SHARED_KEY, CONFIG_KEY, LINKS_KEY) or key.startswith("!")


def _as_list(value: Encoded) -> Any:
    plain = isinstance(value, Item) and value.kind == "tuple" and not has_identity(value)
    return [child for _, child in value.parts] if plain and isinstance(value, Item) else value
