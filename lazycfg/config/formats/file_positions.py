"""Where the mappings of a YAML or JSON file stand, and the keys in them, for explanations and errors.

The YAML parser tells as it goes. Python's JSON parser does not: there the text is gone through once more, the
first time that somebody asks for a place.
"""

from __future__ import annotations

import bisect
import json
import re
from typing import Any, NamedTuple

from lazycfg.config.signatures.source_lookup import Place, Source
from lazycfg.config.tree.position import FilePosition, Origin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lazycfg.config.tree.paths import Key, Path

Spot = tuple[int, int]
"""Line and column, from 1."""

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')


class Written(NamedTuple):
    """A value as it stands in a text.

    Attributes:
        spot: where its key is; of an element of a list, where it is itself.
        start, end: where its text begins and ends; the end is 0 for a block of YAML.
        parts: what is in it, by key or index.
    """

    spot: Spot
    start: int
    end: int
    parts: dict[Any, Written]


class DataPosition(Origin):
    """The place of a mapping in a data file, which knows the places of its keys."""

    __slots__ = ()

    def written(self) -> tuple[str, dict[Any, Written]]:
        """Return the text of the file, and what stands in the mapping. Raises NotImplementedError: a subclass
        has to do this.
        """
        raise NotImplementedError

    def line_of(self, key: Any) -> int | None:
        """Return the line of a key of the mapping."""
        part = self.written()[1].get(key)
        return self.line if part is None else part.spot[0]

    def source(self) -> Source:
        """Return the source of the mapping."""
        text, parts = self.written()
        return _Value(str(self.file), text, Written((0, 0), 0, 0, parts))


class YamlMapping(FilePosition, DataPosition):
    """The place of a mapping of a YAML file."""

    __slots__ = ("parts", "text")

    def __init__(self, file: str, spot: Spot, text: str, parts: dict[Any, Written]):
        super().__init__(file, *spot)
        self.text = text
        self.parts = parts

    def written(self) -> tuple[str, dict[Any, Written]]:
        """Return the text of the file, and what stands in the mapping."""
        return self.text, self.parts


class _Value(Source):
    __slots__ = ("file", "text", "value")

    def __init__(self, file: str, text: str, value: Written):
        self.file = file
        self.text = text
        self.value = value

    def below(self, key: Key) -> Source | None:
        """Return the source of what stands at `key`; None when the text does not tell."""
        parts = self.value.parts
        found = parts.get(key) or (parts["!tuple"].parts.get(key) if "!tuple" in parts else None)
        return None if found is None else _Value(self.file, self.text, found)

    def places(self) -> list[Place]:
        """Return where the value is written."""
        text = self.text[self.value.start : self.value.end]
        return [Place(FilePosition(self.file, *self.value.spot), text)]


class JsonPlaces:
    """The places in one JSON text."""

    def __init__(self, text: str):
        self.text = text.removeprefix("\ufeff")
        self._root: Written | None = None

    def at(self, path: Path) -> Written | None:
        """Return what stands at a path from the root."""
        self._root = self._root or _scan(self.text)
        found: Written | None = self._root
        for key in path:
            found = None if found is None else found.parts.get(key)
        return found


def _scan(text: str) -> Written:
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    path: list[Any] = [None]
    holders: list[dict[Any, Written]] = [{}]
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
        elif token in ("{", "["):
            begun.append((named or spot, match.start()))
            holders.append({})
            path.append(None if token == "{" else 0)
            expect_key = token == "{"
            named = None
        elif token in ("]", "}"):
            path.pop()
            parts = holders.pop()
            holders[-1][path[-1]] = Written(*begun.pop(), match.end(), parts)
            expect_key = False
        elif token == ",":
            if isinstance(path[-1], int):
                path[-1] += 1
            else:
                expect_key = True
        elif token != ":":
            holders[-1][path[-1]] = Written(named or spot, match.start(), match.end(), {})
            named = None
    return holders[0][None]


class JsonMapping(DataPosition):
    """The place of an object in a JSON text, looked up when it is asked for."""

    __slots__ = ("_path", "_places", "file")
    file: str

    def __init__(self, file: str, places: JsonPlaces, path: Path):
        self.file = file
        self._places = places
        self._path = path

    def written(self) -> tuple[str, dict[Any, Written]]:
        """Return the text of the file, and what stands in the mapping."""
        found = self._places.at(self._path)
        return self._places.text, {} if found is None else found.parts

    @property
    def line(self) -> int | None:
        """Return the line in the file, from 1; None if it is not known."""
        found = self._places.at(self._path)
        return None if found is None else found.spot[0]

    @property
    def column(self) -> int | None:
        """Return the column in the line, from 1; None if it is not known."""
        found = self._places.at(self._path)
        return None if found is None else found.spot[1]
