"""Configs as JSON: special values are objects with one key, ``{"!tuple": [1, 2]}``; shared ones are named.

What is reached more than once is under ``_shared_`` and is referred to by ``{"!ref": name}``.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any

from lazycfg.config.formats.data_writer import DataDocument, document
from lazycfg.config.formats.document import SHARED_KEY, DataFileError, SaveError, Tagged
from lazycfg.config.formats.file_positions import JsonMapping, JsonPlaces
from lazycfg.config.formats.items import Item
from lazycfg.config.tree.node import Node, raw_set
from lazycfg.config.tree.position import set_position

_REF = "!ref"
_SURROGATES = re.compile(r"[\ud800-\udbff][\udc00-\udfff]")  # JSON writes one character so


def to_json(cfg: Any) -> str:
    """Return ``cfg`` as JSON text.

    Raises:
        SaveError: something in it cannot be kept; all such places are named.
        CycleError: the config contains itself.
    """
    made, order = document(cfg)
    made.hoist([item for item in order if id(item) in made.shared])
    writer = _Writer(made)
    head = dict(made.head)
    shared = {made.hoisted[id(item)]: writer.body(item) for item in order if id(item) in made.hoisted}
    if shared:
        head[SHARED_KEY] = shared
    head.update({_kept(key): writer.value(value) for key, value in [*made.body, *made.tail]})
    return json.dumps(head, indent=2) + "\n"


class _Writer:
    def __init__(self, made: DataDocument) -> None:
        self.document = made

    def value(self, value: Any) -> Any:
        """Return what stands in JSON for a value of an item."""
        if isinstance(value, Item):
            name = self.document.hoisted.get(id(value))
            return self.body(value) if name is None else {_REF: name}
        if isinstance(value, list):
            return [self.value(element) for element in value]
        if isinstance(value, dict):
            return self._mapping(value)
        if isinstance(value, float) and not math.isfinite(value):
            return {"!float": repr(value)}
        return _kept(value) if isinstance(value, str) else value

    def body(self, item: Item) -> Any:
        """Return what stands in JSON for an item, wherever it is."""
        tag, payload = self.document.shape(item)
        return self.value(payload) if tag is None else {f"!{tag}": self.value(payload)}

    def _mapping(self, mapping: dict[str, Any]) -> Any:
        if len(mapping) == 1 and next(iter(mapping)).startswith("!"):
            return {"!dict": [[_kept(key), self.value(value)] for key, value in mapping.items()]}
        return {_kept(key): self.value(value) for key, value in mapping.items()}


def _kept(text: str) -> str:
    """Return a text that JSON gives back as it is. Raises SaveError."""
    if _SURROGATES.search(text):
        raise SaveError(
            [f"text with a pair of surrogates, {text[:40]!a}, cannot be kept in JSON; .py keeps it"]
        )
    return text


def parse_json(data: bytes, file: str) -> Any:
    """Return nodes, lists, scalars and `Tagged` values of a JSON text.

    Raises:
        DataFileError: the text is no JSON, or refers to a name that is not there.
    """
    try:
        root = json.loads(data, object_pairs_hook=_unique)
    except RecursionError:
        raise DataFileError(f"{file}: nested too deeply") from None
    except ValueError as error:
        raise DataFileError(f"{file}: not valid JSON: {error}") from None
    if not isinstance(root, dict):
        root = {"_config_": root}
    try:
        return _Reader(file, JsonPlaces(data.decode("utf-8", "replace"))).read(root)
    except RecursionError:
        raise DataFileError(f"{file}: nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {twice!r} is in one object twice")
    return result


class _Reader:
    def __init__(self, file: str, places: JsonPlaces) -> None:
        self.places = places
        self.file = file
        self.shared: dict[str, Any] = {}

    def read(self, root: dict[str, Any]) -> Any:
        """Return the nodes and values of a document; raises DataFileError if the shared ones are none."""
        shared = root.pop(SHARED_KEY, {})
        if not isinstance(shared, dict):
            raise DataFileError(f"{self.file}: {SHARED_KEY!r} is not an object")
        for name, value in shared.items():  # each refers to earlier ones only
            self.shared[name] = self.value(value, (SHARED_KEY, name))
        return self.value(root, ())

    def value(self, value: Any, path: tuple[Any, ...]) -> Any:
        """Return the node, list or scalar of a value at a path."""
        if isinstance(value, list):
            return [self.value(element, (*path, index)) for index, element in enumerate(value)]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (key, payload), *_ = value.items()
            if key == _REF:
                return self._reference(payload)
            if key.startswith("!"):
                return Tagged(
                    key[1:], self.value(payload, (*path, key)), JsonMapping(self.file, self.places, path)
                )
        node = Node()
        set_position(node, JsonMapping(self.file, self.places, path))
        for key, element in value.items():
            raw_set(node, key, self.value(element, (*path, key)))
        return node

    def _reference(self, name: Any) -> Any:
        if not isinstance(name, str) or name not in self.shared:
            raise DataFileError(f"{self.file}: nothing named {name!r} is above, under {SHARED_KEY!r}")
        return self.shared[name]
