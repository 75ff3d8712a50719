"""A hash of what a config means, equal in every process and on every machine."""

from __future__ import annotations

from lazycfg.config.comparing.equality import without_layout
from lazycfg.config.comparing.target_names import name_of_target
from lazycfg.config.errors import ConfigError
from lazycfg.config.formats.encode import Item, encode
from lazycfg.config.paths import parse_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from lazycfg.config.formats.encode import Encoded

__all__ = ["hash_of"]

# Containers of which it matters whether two places hold the same one or two equal ones.
_SHARED = frozenset(("call", "dict", "pairs", "list", "object", "construct"))


def hash_of(cfg: Any, *, ignore: Iterable[str] = ()) -> str:
    """The semantic hash of a config: 64 hexadecimal digits (SHA-256).

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
    digest = sha256(b"lazycfg 1\n")
    numbers: dict[int, int] = {}
    root = encode(cfg)
    work: list[tuple[Encoded | bytes, tuple[Any, ...]]] = [(root, ())]
    while work:
        value, path = work.pop()
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
        parts = [(key, part) for key, part in value.parts if not _ignored((*path, key), patterns)]
        if value.kind in ("call", "dict", "object"):
            parts.sort(key=lambda pair: str(pair[0]))
        digest.update(f"{value.kind} {len(parts)}:".encode())
        todo: list[tuple[Encoded | bytes, tuple[Any, ...]]] = []
        if isinstance(value.value, Item):
            todo.append((value.value, path))
        else:
            digest.update(_own_value(value))
        for key, part in parts:
            if value.kind == "pairs":
                todo += [(key, path), (part, (*path, None))]
                continue
            todo.append((_text(b"key", str(key)), path))
            if value.kind == "call" and key == "_target_" and isinstance(part, str):
                todo.append((_text(b"name 0:", name_of_target(part)), path))
            else:
                todo.append((part, (*path, key)))
        work.extend(reversed(todo))
    return digest.hexdigest()


def _own_value(item: Item) -> bytes:
    """What an item holds itself, besides its parts."""
    if item.kind == "name":
        return _text(b"", str(item.value))
    if item.kind == "source":
        return _text(b"", without_layout(item.value.source))
    if item.kind == "path":
        return _text(b"", item.value.as_posix())
    if item.kind in ("bytes", "complex"):
        return _text(b"", repr(item.value))
    if item.value is not None and item.kind not in ("required", "ellipsis"):
        raise ConfigError(f"config path {item.path!r}: no hash is known for a {item.kind}")
    return b";"


def _scalar(value: Any) -> bytes:
    if value == "???" and isinstance(value, str):
        return b"required 0:;"
    return _text(type(value).__name__.encode(), repr(value))


def _text(tag: bytes, text: str) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    return b"%s%d:%s;" % (tag, len(data), data)


def _ignored(path: tuple[Any, ...], patterns: Sequence[Sequence[Any]]) -> bool:
    return any(_matches(path, pattern) for pattern in patterns)


def _matches(path: Sequence[Any], pattern: Sequence[Any]) -> bool:
    from fnmatch import fnmatchcase

    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(_matches(path[start:], pattern[1:]) for start in range(len(path) + 1))
    return bool(path) and fnmatchcase(str(path[0]), str(pattern[0])) and _matches(path[1:], pattern[1:])
