"""Where the mappings of a YAML or JSON file stand, and the keys in them.

The YAML scanner tells as it goes. Python's JSON parser does not: there the text is gone through once more,
the first time that somebody asks for a place. What a value was written as is read from the file again.
"""

from __future__ import annotations

import bisect
import re

from lazycfg.config.signatures.source_lookup import Place, Source, read_once
from lazycfg.config.tree.position import FilePosition, Origin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, TypeAlias

    from lazycfg.config.tree.paths import Key, Path

    Spot: TypeAlias = "tuple[int, int]"  # line and column, from 1

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


class MappingPosition(FilePosition):
    """The place of a mapping of a YAML file, which knows the places of its keys."""

    __slots__ = ("keys", "stamp")

    def __init__(self, file: str, line: int | None = None, column: int | None = None):
        super().__init__(file, line, column)
        self.keys: dict[Any, Spot] = {}
        self.stamp = _stamp(file)

    def line_of(self, key: Any) -> int | None:
        """Return the line of a key of the mapping."""
        return self.keys[key][0] if key in self.keys else self.line

    def source(self) -> Source:
        return _YamlMapping(self)


def _stamp(file: str) -> tuple[int, int] | None:
    import os

    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


class _YamlMapping(Source):
    __slots__ = ("position",)

    def __init__(self, position: MappingPosition):
        self.position = position

    def below(self, key: Key) -> Source | None:
        spot = self.position.keys.get(key)
        if spot is None:
            return None
        file = self.position.file
        if _stamp(file) != self.position.stamp:  # edited after it was read
            return _YamlValue(file, spot, None)
        return _YamlValue(file, spot, (read_once(file, _yaml_values) or {}).get(spot))


class _YamlValue(Source):
    """What is at `spot`; its text and what is in it are known from `(text of the file, node of PyYAML)`,
    unless the file has changed.
    """

    __slots__ = ("file", "found", "spot")

    def __init__(self, file: str, spot: Spot, found: tuple[str, Any] | None):
        self.file = file
        self.spot = spot
        self.found = found

    def below(self, key: Key) -> Source | None:
        text, node = self.found or ("", None)
        elements = getattr(node, "value", None)
        if not isinstance(elements, list) or not isinstance(key, int) or not 0 <= key < len(elements):
            return None
        inner = elements[key]
        return None if isinstance(inner, tuple) else _YamlValue(self.file, _spot(inner), (text, inner))

    def places(self) -> list[Place]:
        text, node = self.found or ("", None)
        if getattr(node, "flow_style", None) is False:  # it goes over several lines
            text = ""
        elif node is not None:
            lines = text.split("\n")[node.start_mark.line : node.end_mark.line + 1]
            lines[-1] = lines[-1][: node.end_mark.column]
            lines[0] = lines[0][node.start_mark.column :]
            text = "\n".join(lines)
        return [Place(FilePosition(self.file, *self.spot), text)]


def _yaml_values(data: bytes) -> dict[Spot, tuple[str, Any]]:
    """Return the text of a YAML file and the value of each key in it, by the place of the key."""
    import yaml  # type: ignore[import-untyped]

    text = data.decode("utf-8-sig").replace("\r\n", "\n")
    try:
        root = yaml.compose(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:
        return {}
    found: dict[Spot, tuple[str, Any]] = {}
    work = [root]
    while work:
        node = work.pop()
        if isinstance(node, yaml.SequenceNode):
            work += node.value
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if _spot(key) not in found:
                    found[_spot(key)] = text, value
                    work.append(value)
    return found


def _spot(node: Any) -> Spot:
    return node.start_mark.line + 1, node.start_mark.column + 1


class JsonPlaces:
    """The places in one JSON text, by the path from its root: keys of objects and indices of arrays."""

    def __init__(self, text: str):
        self._text = text.removeprefix("\ufeff")
        self._places: dict[Path, tuple[Spot, slice]] | None = None

    def at(self, path: Path) -> tuple[Spot, str] | None:
        """Return line and column, from 1, of the key or the element at `path`, and the text of its value."""
        if self._places is None:
            self._places = dict(_scan(self._text))
        found = self._places.get(path)
        return None if found is None else (found[0], self._text[found[1]])


def _scan(text: str) -> Iterator[tuple[Path, tuple[Spot, slice]]]:
    import json

    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    path: list[Any] = []
    begun: list[tuple[Spot, int]] = []  # of each container that is open: its place, and where its text starts
    named: Spot | None = None  # the place of the key of the value that comes
    expect_key = False
    for match in _TOKEN.finditer(text):
        token = match[0]
        at = bisect.bisect_right(starts, match.start())
        spot = at, match.start() - starts[at - 1] + 1
        if expect_key and token[0] == '"':
            path[-1] = json.loads(token)
            named = spot
            expect_key = False
            continue
        if token in ("{", "["):
            begun.append((named or spot, match.start()))
            path.append(None if token == "{" else 0)
            expect_key = token == "{"
            named = None
        elif token in ("]", "}"):
            path.pop()
            spot, start = begun.pop()
            yield tuple(path), (spot, slice(start, match.end()))
            expect_key = False
        elif token == ",":
            if isinstance(path[-1], int):
                path[-1] += 1
            else:
                expect_key = True
        elif token != ":":
            yield tuple(path), (named or spot, slice(match.start(), match.end()))
            named = None


class JsonMapping(Origin):
    """The place of an object in a JSON text, looked up when it is asked for."""

    __slots__ = ("_path", "_places", "file")
    file: str

    def __init__(self, file: str, places: JsonPlaces, path: Path):
        self.file = file
        self._places = places
        self._path = path

    @property
    def line(self) -> int | None:
        found = self._places.at(self._path)
        return None if found is None else found[0][0]

    @property
    def column(self) -> int | None:
        found = self._places.at(self._path)
        return None if found is None else found[0][1]

    def line_of(self, key: Any) -> int | None:
        """Return the line of a key of the object."""
        found = self._places.at((*self._path, key))
        return self.line if found is None else found[0][0]

    def source(self) -> Source:
        return _JsonValue(self.file, self._places, self._path)


class _JsonValue(Source):
    __slots__ = ("file", "path", "source")

    def __init__(self, file: str, source: JsonPlaces, path: Path):
        self.file = file
        self.source = source
        self.path = path

    def below(self, key: Key) -> Source | None:
        for path in ((*self.path, key), (*self.path, "!tuple", key)):
            if self.source.at(path) is not None:
                return _JsonValue(self.file, self.source, path)
        return None

    def places(self) -> list[Place]:
        found = self.source.at(self.path)
        return [] if found is None else [Place(FilePosition(self.file, *found[0]), found[1])]
