"""Values as an override writes them: the inverse of `parse_value`."""

from __future__ import annotations

import re

from lazycfg.config.editing.grammar import CallRef, FileRef, ImportRef, ShareRef, parse_value

_MAX_DEPTH = 100
_PLAIN_WORD = re.compile(r"[^\W\d][\w./-]*")  # needs no quotes, unless it is a literal


def format_value(value: object) -> str:
    """Return text that `parse_value` reads back as an equal value: for literals and containers of them.

    Raises:
        TypeError: the value has no spelling on a command line; the message names its type.
    """
    if isinstance(value, str) and _PLAIN_WORD.fullmatch(value) and parse_value(value) == value:
        return value
    return _format(value, 0)


def _format(value: object, depth: int) -> str:
    if depth > _MAX_DEPTH:
        raise TypeError(f"value nested deeper than {_MAX_DEPTH} levels")
    kind = type(value)
    if isinstance(value, ImportRef):
        return f"@{value.name}"
    if isinstance(value, ShareRef):
        return f"&{value.path}"
    if isinstance(value, CallRef):
        given = (f"{key}={_format(element, depth + 1)}" for key, element in value.arguments.items())
        return f"@{value.target.name}({', '.join(given)})"
    if isinstance(value, FileRef):
        return f"file:{value.file}#{value.path}" if value.path else f"file:{value.file}"
    if isinstance(value, str) and kind is str:
        return _quoted(value)
    if value is None or value is ... or kind in (bool, int, float, complex, bytes):
        return "..." if value is ... else _plain_complex(value) if isinstance(value, complex) else repr(value)
    if isinstance(value, dict) and kind is dict:
        pairs = (f"{_format(k, depth + 1)}: {_format(v, depth + 1)}" for k, v in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list | tuple | set) and kind in (list, tuple, set):
        items = [_format(item, depth + 1) for item in value]
        if kind is list:
            return "[" + ", ".join(items) + "]"
        if kind is tuple:
            return "(" + ", ".join(items) + ("," if len(items) == 1 else "") + ")"
        return "{" + ", ".join(items) + "}" if items else "set()"
    raise TypeError(f"a {kind.__qualname__} has no spelling on the command line")


def _quoted(text: str) -> str:
    """Return text in double quotes, if it has none: the single ones are for the shell."""
    return repr(text) if '"' in text else '"' + repr("'" + text)[2:]


def _plain_complex(value: complex) -> str:
    """Return complex numbers without the parentheses of repr(), which would read as a grouping of a word."""
    return repr(value).strip("()")
