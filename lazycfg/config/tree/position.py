"""Where things were written: the position of every node, and every later write to it.

A node keeps the code object and the instruction offset of the call that made it, two words; file, line and
column are looked up in the code object's position table only when somebody asks. (Reading `f_lineno` instead
would walk the line table at every call: up to 100 us in a long file.) Writes by attribute or item are kept
the same way; a write that does not come from Python code (a command line, a data file) brings an `Origin` of
its own.
"""

from __future__ import annotations

import sys
from collections import namedtuple
from itertools import count, islice

from lazycfg.config.tree.paths import format_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import CodeType
    from typing import Any

_read = object.__getattribute__
_write = object.__setattr__
_clock = count(1)  # numbers the writes, so that those to different nodes can be put in order
_LIMIT = 512  # writes remembered for one node; a loop that writes for ever must not fill the memory


class Origin:
    """A place that a value can come from. `str()` of it is what messages show.

    Attributes:
        file: as the code object or the loader names it; None where there is none.
        line, column: counted from 1; None where they are not known.
    """

    __slots__ = ()

    @property
    def file(self) -> str | None:
        """Return the file; None if it is not known."""
        return None

    @property
    def line(self) -> int | None:
        """Return the line in the file, from 1; None if it is not known."""
        return None

    @property
    def column(self) -> int | None:
        """Return the column in the line, from 1; None if it is not known."""
        return None

    def source(self) -> Any | None:
        """Return what the file tells about the value that stands there, None when it tells nothing."""
        return None

    def __str__(self) -> str:
        parts = [str(p) for p in (self.file, self.line, self.column) if p is not None]
        return ":".join(parts) or "an unknown place"

    def __repr__(self) -> str:
        return f"<{self}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Origin) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


class Position(Origin):
    """A place in Python code, as (code object, offset of the instruction); line and column on demand."""

    __slots__ = ("code", "lasti")

    def __init__(self, code: CodeType, lasti: int):
        self.code = code
        self.lasti = lasti

    def span(self) -> tuple[int | None, int | None, int | None, int | None]:
        """Return (line, end line, column, end column) of the expression; lines from 1, columns from 0, in
        UTF-8 bytes.
        """
        empty = (None, None, None, None)
        return next(islice(self.code.co_positions(), self.lasti // 2, None), empty)

    @property
    def file(self) -> str | None:
        """Return the file; None if it is not known."""
        return self.code.co_filename

    @property
    def line(self) -> int | None:
        """Return the line in the file, from 1; None if it is not known."""
        line = self.span()[0]
        return self.code.co_firstlineno if line is None else line

    @property
    def column(self) -> int | None:
        """Return the column in the line, from 1; None if it is not known."""
        line, _, offset, _ = self.span()
        return None if line is None or offset is None else column_at(self.code.co_filename, line, offset)


def column_at(file: str, line: int, offset: int) -> int:
    """Return the column, in characters from 1, of a place in Python code that is `offset` bytes of UTF-8 into
    a line (as code objects and syntax trees count); where the line cannot be read, characters are taken for
    bytes.
    """
    import linecache

    linecache.checkcache(file)
    before = linecache.getline(file, line).encode("utf-8", "replace")[:offset]
    return 1 + (len(before.decode("utf-8", "replace")) if len(before) == offset else offset)


class FilePosition(Origin):
    """A place in a file that is not Python (YAML, JSON), or whose code object is gone (a pickled node)."""

    __slots__ = ("column", "file", "line")
    file: str
    line: int | None
    column: int | None

    def __init__(self, file: str, line: int | None = None, column: int | None = None):
        self.file = file
        self.line = line
        self.column = column


def stamp(data: bytes) -> int:
    """Return a number that tells whether a file still is what was loaded."""
    from zlib import crc32

    return crc32(data)


_config_files: set[str] = set()


def note_config_file(file: str) -> None:
    """Note that a file is run as a config file: its code objects are what its text compiles to."""
    _config_files.add(file)


def is_config_code(code: CodeType) -> bool:
    """Return whether a code object is that of a config file."""
    return code.co_filename in _config_files


def is_edited(file: str, stamps: Mapping[str, int] | None) -> bool:
    """Return whether a file is no longer what was loaded; False when what was loaded is not known."""
    if stamps is None or file not in stamps:
        return False
    try:
        with open(file, "rb") as stream:
            return stamp(stream.read()) != stamps[file]
    except OSError:
        return True


class CommandLine(Origin):
    """One override of a command line: its text and its place among the others, counted from 1."""

    __slots__ = ("index", "text")

    def __init__(self, text: str, index: int | None = None):
        self.text = text
        self.index = index

    def __str__(self) -> str:
        place = "" if self.index is None else f" {self.index}"
        return f"override{place} {self.text!r}"


class WrittenAt(Origin):
    """The place of what stands at a key of a node of another config, from where it was taken."""

    __slots__ = ("key", "node")

    def __init__(self, node: Any, key: str):
        self.node = node
        self.key = key

    @property
    def file(self) -> str | None:
        """Return the file; None if it is not known."""
        origin = position_of(self.node)
        return None if origin is None else origin.file


# Not of `typing`, whose import takes as long as that of the core.
class Write(namedtuple("Write", ["key", "value", "origin", "number"])):
    """One write to a node.

    Attributes:
        key: what was written: a key of the node, or for a plain container a dotted path below it
            ("stages.0").
        value: what was written; `Write.DELETED` for a deletion.
        origin: where it was written.
        number: grows from write to write, over all nodes.
    """

    __slots__ = ()
    DELETED: Any = type("Deleted", (), {"__repr__": lambda self: "<deleted>", "__slots__": ()})()
    key: str
    value: Any
    origin: Origin
    number: int


def position_of(node: Any) -> Origin | None:
    """Return where `node` was written, or None when that is not known (a plain dict turned into a node)."""
    try:
        code = _read(node, "_lz_code")
    except AttributeError:
        return None
    return code if isinstance(code, Origin) else Position(code, _read(node, "_lz_lasti"))


def set_position(node: Any, origin: Origin | None) -> None:
    """Say where `node` was written (a loader of a data file knows what no code object can)."""
    if isinstance(origin, Position):
        _write(node, "_lz_code", origin.code)
        _write(node, "_lz_lasti", origin.lasti)
    elif origin is not None:
        _write(node, "_lz_code", origin)


def notes_of(node: Any) -> dict[str, Any]:
    """Return the rarely needed things that a node remembers (writes, resolver cache), made on first use."""
    try:
        notes: dict[str, Any] = _read(node, "_lz_notes")
    except AttributeError:
        notes = {}
        _write(node, "_lz_notes", notes)
    return notes


def record_write(node: Any, key: str, value: Any, origin: Origin | None = None, *, depth: int = 1) -> None:
    """Remember that `key` of `node` was set to `value` (`Write.DELETED`: deleted).

    Args:
        node: the `Node` written to; for an element of a plain list or dict the nearest node above it.
        key: the key, or the dotted path below `node`.
        value: what was written.
        origin: where from; without it the calling code, `depth` frames up.
        depth: 1 is the caller of this function.
    """
    if origin is None:
        frame = sys._getframe(depth)
        origin = Position(frame.f_code, frame.f_lasti)
    log = notes_of(node).setdefault("writes", [])
    if len(log) >= _LIMIT:
        del log[_LIMIT // 4 : _LIMIT // 2]
    log.append(Write(key, value, origin, next(_clock)))


def writes_of(node: Any, key: str | None = None) -> list[Write]:
    """Return the writes to `node` after it was made, oldest first; with `key` those to it or below it."""
    try:
        log: list[Write] = _read(node, "_lz_notes").get("writes", [])
    except AttributeError:
        return []
    return [w for w in log if key is None or w.key == key or str(w.key).startswith(f"{key}.")]


def writes_to(node: Any, keys: Sequence[Any]) -> list[Write]:
    """Return the writes to `node` that put in place what stands at `keys` in it, oldest first."""
    path = f"{format_path(keys)}."
    return [
        write
        for write in writes_of(node)
        if write.key == keys[0] or (isinstance(write.key, str) and path.startswith(f"{write.key}."))
    ]
