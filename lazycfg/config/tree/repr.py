"""The one-line `repr` of a node: as it would be written, cut short where it gets long."""

from __future__ import annotations

from lazycfg.config.tree.node import Node, raw_get, raw_items

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_DEPTH = 16
_LENGTH = 4000


def printable(text: str) -> str:
    """Escape control characters, which keys and names that somebody else wrote could bring to a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)


def shown(value: Any) -> str:
    """Return a literal for a message: None, the text 'ten', int 3; cut when it is long."""
    try:
        text = repr(value)
    except Exception:  # somebody else's __repr__
        text = "..."
    text = text if len(text) <= 60 else text[:57] + "..."
    if value is None:
        return text
    return f"{'text' if type(value) is str else type(value).__name__} {text}"


def short_repr(node: Any) -> str:
    """Return `L(Conv2d)(in_channels=3, ...)` for a call, `{'lr': 0.1, ...}` for a plain dict."""
    return _text(node, _DEPTH, [_LENGTH])


def _text(value: Any, depth: int, room: list[int]) -> str:
    if room[0] <= 0:
        return "..."
    kind = type(value)
    if kind is list or kind is tuple or kind is dict or kind is Node:
        if depth == 0:
            return "..."
        text = _holder(value, kind, depth - 1, room)
    else:
        try:
            name = getattr(value, "__qualname__", None) if callable(value) else None
            text = name if isinstance(name, str) else repr(value)
        except Exception as error:  # somebody else's __repr__
            text = f"<{kind.__name__}: its repr fails with {type(error).__name__}>"
        room[0] -= len(text)
    return text


def _holder(value: Any, kind: type, depth: int, room: list[int]) -> str:
    if kind is Node and (target := raw_get(value, "_target_")) is not None:
        call = "L.partial" if raw_get(value, "_partial_") else "L"
        parts = [_text(arg, depth, room) for arg in _sequence(raw_get(value, "_args_"))]
        skip = ("_target_", "_args_", "_partial_")
        for key, child in raw_items(value):
            if room[0] <= 0:
                parts.append("...")
                break
            if key not in skip:
                parts.append(f"{key}={_text(child, depth, room)}")
        return f"{call}({_text(target, depth, room)})({', '.join(parts)})"
    parts = []
    for item in raw_items(value) if isinstance(value, dict) else value:
        if room[0] <= 0:
            parts.append("...")
            break
        parts.append(
            f"{item[0]!r}: {_text(item[1], depth, room)}"
            if isinstance(value, dict)
            else _text(item, depth, room)
        )
    inner = ", ".join(parts)
    if kind is list:
        return f"[{inner}]"
    if kind is tuple:
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    return f"{{{inner}}}"


def _sequence(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else ()
