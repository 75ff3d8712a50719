"""A hash of what a config means, equal in every process and on every machine."""

from __future__ import annotations

from lazycfg.config.errors import ConfigError, with_article
from lazycfg.config.formats.encode import encode
from lazycfg.config.formats.items import Item
from lazycfg.config.tree.paths import parse_path
from lazycfg.config.tree.targets import name_of_target
from lazycfg.inspection.equality import without_layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from lazycfg.config.formats.items import Encoded

# Containers of which it matters whether two places hold the same one or two equal ones.
_SHARED = frozenset(("call", "dict", "pairs", "list", "object", "construct"))


def hash_of(cfg: Any, *, ignore: Iterable[str] = ()) -> str:
    """Return the semantic hash of a config: 64 hexadecimal digits (SHA-256).

    Two configs have the same hash when they build the same: positions, comments, the files they came from
    and the order of keyword arguments do not count; the types of values do (1, 1.0 and True differ, as do a
    list and a tuple), and so does what is shared. A target counts by the name it was defined under, whether
    given as that text, as another text that leads to it (it is imported to know) or as the object; a function
    or class of a config file counts by its source and by what it refers to. A `${...}` counts as written.

    Args:
        cfg: a node, dict, list or tuple.
        ignore: config paths that do not count ("train.output_dir"); `*` stands for one key, `**` for any
        number.

    Raises:
        SaveError: a value in it has no name, source or form that could be written down.
    """
    from hashlib import sha256

    patterns = [parse_path(path) for path in ignore]
    start = _at_start(patterns)
    digest = sha256(b"lazycfg 1\n")
    numbers: dict[int, int] = {}
    root = encode(cfg)
    work: list[tuple[Encoded | bytes, _States]] = [(root, start)]
    while work:
        value, here = work.pop()
        if isinstance(value, bytes):
            digest.update(value)
            continue
        if not isinstance(value, Item):
            digest.update(_scalar(value))
            continue
        if value.kind in _SHARED or value.kind == "source":
            if id(value) in numbers:
                digest.update(b"same %d;" % numbers[id(value)])
                continue
            numbers[id(value)] = len(numbers)
        parts = [(k, part, _step(here, k, patterns)) for k, part in value.parts]
        parts = [entry for entry in parts if not _is_end(entry[2], patterns)]
        if value.kind in ("call", "dict", "object"):
            parts.sort(key=lambda pair: str(pair[0]))
        elif value.kind == "pairs" and isinstance(value.obj, dict):
            parts.sort(key=lambda pair: _place_of_key(pair[0]))
        digest.update(f"{value.kind} {len(parts)}:".encode())
        todo: list[tuple[Encoded | bytes, _States]] = []
        if isinstance(value.value, Item):
            todo.append((value.value, here))
        else:
            digest.update(_own_value(value))
        for key, part, there in parts:
            if value.kind == "pairs":
                todo += [(key, here), (part, _step(here, None, patterns))]
                continue
            todo.append((_text(b"key", str(key)), here))
            if value.kind == "call" and key == "_target_" and isinstance(part, str):
                todo.append((_text(b"name 0:", name_of_target(part)), here))
            else:
                todo.append((part, there))
        work.extend(reversed(todo))
    return digest.hexdigest()


def _place_of_key(key: Encoded) -> tuple[str, float, str]:
    """Return where a key of a dict comes whatever the order it was written in; those that are no plain values
    come last, as they stand.
    """
    if isinstance(key, Item):
        return "~", 0, ""
    return type(key).__name__, key if isinstance(key, int | float) else 0, repr(key)


def _own_value(item: Item) -> bytes:
    """Return what an item holds itself, besides its parts."""
    if item.kind == "name":
        return _text(b"", str(item.value))
    if item.kind == "source":
        return _text(b"", without_layout(item.value.source))
    if item.kind == "path":
        return _text(b"", item.value.as_posix())
    if item.kind in ("bytes", "complex"):
        return _text(b"", repr(item.value))
    if item.value is not None and item.kind not in ("required", "ellipsis"):
        raise ConfigError(f"config path {item.path!r}: no hash is known for {with_article(item.kind)}")
    return b";"


def _scalar(value: Any) -> bytes:
    if value == "???" and isinstance(value, str):
        return b"required 0:;"
    return _text(type(value).__name__.encode(), repr(value))


def _text(tag: bytes, text: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    return b"%s%d:%s;" % (tag, len(data), data)


_States = frozenset[tuple[int, int]]
"""How far each pattern is matched by the path so far: (number of the pattern, number of the next key)."""


def _at_start(patterns: Sequence[Sequence[Any]]) -> _States:
    return _through([(number, 0) for number in range(len(patterns))], patterns)


def _through(states: Iterable[tuple[int, int]], patterns: Sequence[Sequence[Any]]) -> _States:
    """Return the states, with those that a `**` that stands for nothing leads on to."""
    found = set()
    for number, place in states:
        found.add((number, place))
        while place < len(patterns[number]) and patterns[number][place] == "**":
            place += 1
            found.add((number, place))
    return frozenset(found)


def _step(states: _States, key: Any, patterns: Sequence[Sequence[Any]]) -> _States:
    """Return the states after one more key."""
    from fnmatch import fnmatchcase

    after = []
    for number, place in states:
        if place == len(patterns[number]):
            continue
        wanted = patterns[number][place]
        if wanted == "**":
            after.append((number, place))
        elif fnmatchcase(str(key), str(wanted)):
            after.append((number, place + 1))
    return _through(after, patterns)


def _is_end(states: _States, patterns: Sequence[Sequence[Any]]) -> bool:
    return any(place == len(patterns[number]) for number, place in states)
