"""Where the mappings of a YAML or JSON file stand, and the keys in them.

The YAML scanner tells as it goes. Python's JSON parser does not: there the text is gone through once more,
the first time that somebody asks for a place.
"""

from __future__ import annotations

import bisect
import re
from typing import Any

from lazycfg.config.provenance.position import FilePosition

__all__ = ["JsonMapping", "JsonPlaces", "MappingPosition"]

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


class MappingPosition(FilePosition):
    """The place of a mapping, which knows the places of its keys."""

    __slots__ = ("keys",)

    def __init__(self, file: str, line: int | None = None, column: int | None = None):
        super().__init__(file, line, column)
        self.keys: dict[Any, tuple[int, int]] = {}

    def of_key(self, key: Any) -> FilePosition:
        """The place of a key; that of the mapping where it has no such key."""
        found = self.keys.get(key)
        return self if found is None else FilePosition(str(self.file), *found)


class JsonPlaces:
    """The places in one JSON text, by the path from its root: keys of objects and indices of arrays."""

    def __init__(self, text: str):
        self._text: str | None = text
        self._places: dict[tuple[Any, ...], tuple[int, int]] = {}

    def at(self, path: tuple[Any, ...]) -> tuple[int, int] | None:
        """(line, column), from 1, of the key or the element at `path`."""
        if self._text is not None:
            self._places = _scan(self._text)
            self._text = None
        return self._places.get(path)


def _scan(text: str) -> dict[tuple[Any, ...], tuple[int, int]]:
    import json

    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    found: dict[tuple[Any, ...], tuple[int, int]] = {}
    path: list[Any] = []
    expect_key = False
    for match in _TOKEN.finditer(text):
        token = match[0]
        at = bisect.bisect_right(starts, match.start())
        place = at, match.start() - starts[at - 1] + 1
        if expect_key and token[0] == '"':
            path[-1] = json.loads(token)
            found[tuple(path)] = place
            expect_key = False
            continue
        if token not in ("]", "}", ",", ":"):
            found.setdefault(tuple(path), place)
        if token == "{":
            path.append(None)
            expect_key = True
        elif token == "[":
            path.append(0)
        elif token in ("]", "}"):
            path.pop()
            expect_key = False
        elif token == "," and path:
            if isinstance(path[-1], int):
                path[-1] += 1
            else:
                expect_key = True
    return found


class JsonMapping(FilePosition):
    """The place of an object in a JSON text, looked up when it is asked for."""

    __slots__ = ("_path", "_places")

    def __init__(self, file: str, places: JsonPlaces, path: tuple[Any, ...]):
        super().__init__(file)
        self._places = places
        self._path = path

    @property
    def line(self) -> int | None:
        place = self._places.at(self._path)
        return None if place is None else place[0]

    @property
    def column(self) -> int | None:
        place = self._places.at(self._path)
        return None if place is None else place[1]

    def of_key(self, key: Any) -> FilePosition:
        """The place of a key; that of the object where it has no such key."""
        found = self._places.at((*self._path, key))
        return self if found is None else FilePosition(str(self.file), *found)
