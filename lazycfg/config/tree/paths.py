"""Config paths: `model.backbone.stages.0.depth`.

A path is a tuple of keys (str) and indices (int). In text, keys are joined by dots; list indices are
numbers, negative ones count from the end; a key that is a number, or that has something in it that means
more (a dot, a bracket, a quote, `=`, `*`, a blank, a sign at its start), is written as `["a.b"]`. `a[0]` is
accepted for `a.0`.
"""

from __future__ import annotations

from lazycfg.config.errors import PathError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, TypeAlias

    Key: TypeAlias = Any
    Path: TypeAlias = "tuple[Key, ...]"
    # A path as a chain of links to the parent, which costs nothing to extend: (link of the parent, key).
    Link: TypeAlias = "tuple[Link | None, Key] | None"

MISSING: Any = type("Missing", (), {"__slots__": (), "__repr__": lambda self: "<missing>"})()


# The signs of overrides: before the key, and between the key and "=". `grammar` reads them, `Writer` has a
# method for each operation, and a key that begins or ends with one has to be quoted.
BEFORE_KEY = {"++": "force", "+": "add", "~": "delete"}
BEFORE_EQUALS = {"+": "append"}
# What is no operator, though people write it as one
NO_OPERATORS = "-/%|^:@&<>!*"


class Quoted(str):
    """A key that was written in quotes: it means itself, even where `*` is a wildcard."""

    __slots__ = ()


def _is_plain(key: str) -> bool:
    """Return whether a key needs no quotes, whatever an override makes of `=`, `*`, a sign, a blank."""
    if not key or _is_index(key) or key.startswith((*BEFORE_KEY, "-", "&", "@")):
        return False
    if key.endswith(tuple(BEFORE_EQUALS)):
        return False
    return not any(char in ".[]'\"=*?" or char.isspace() for char in key)


def _is_index(text: str) -> bool:
    return text.removeprefix("-").isdigit() and text.isascii()


def parse_path(text: str) -> tuple[str | int, ...]:
    """Return the keys of a path in text; "" is the root. Raises `PathError` when it is not well-formed."""
    parts: list[str | int] = []
    position, size = 0, len(text)
    expect_key = True
    while position < size:
        char = text[position]
        if char == ".":
            if expect_key:
                raise PathError(f"an empty key in the config path {text!r} at character {position + 1}")
            expect_key = True
            position += 1
        elif char == "[":
            position, key = _parse_bracket(text, position)
            parts.append(key)
            expect_key = False
        else:
            if not expect_key:
                raise PathError(f"a dot is missing in the config path {text!r} at character {position + 1}")
            end = position
            while end < size and text[end] not in ".[":
                end += 1
            word = text[position:end]
            parts.append(int(word) if _is_index(word) else word)
            position, expect_key = end, False
    if expect_key and parts:
        raise PathError(f"the config path {text!r} ends with a dot")
    return tuple(parts)


def _parse_bracket(text: str, start: int) -> tuple[int, str | int]:
    """Return the key in the brackets that open at `start`, and where the text goes on."""
    if text[start + 1 : start + 2] in ("'", '"'):
        quote = text[start + 1]
        end = start + 2
        word = ""
        while end < len(text) and text[end] != quote:
            if text[end] == "\\" and end + 1 < len(text):
                end += 1
            word += text[end]
            end += 1
        if text[end : end + 2] != quote + "]":
            raise PathError(f"a bracket is not closed in the config path {text!r}")
        return end + 2, Quoted(word)
    end = text.find("]", start)
    if end < 0:
        raise PathError(f"a bracket is not closed in the config path {text!r}")
    word = text[start + 1 : end]
    if not word:
        raise PathError(f"an empty bracket in the config path {text!r}")
    return end + 1, int(word) if _is_index(word) else word


def format_path(path: Iterable[Key]) -> str:
    """Return the text of a path; the inverse of `parse_path`. The root is ""."""
    text = ""
    for key in path:
        if isinstance(key, str):
            if not _is_plain(key):
                escaped = key.replace("\\", "\\\\").replace('"', '\\"')
                text += f'["{escaped}"]'
                continue
            word = key
        else:
            word = str(key)
        text += f".{word}" if text else word
    return text


def unlink(link: Link) -> Path:
    """Return the path of a chain of links."""
    keys = []
    while link is not None:
        link, key = link
        keys.append(key)
    keys.reverse()
    return tuple(keys)


def link_of(path: Path) -> Link:
    """Return a path as a chain of links; the inverse of `unlink`."""
    link: Link = None
    for key in path:
        link = (link, key)
    return link
