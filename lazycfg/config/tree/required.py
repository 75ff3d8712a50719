"""`REQUIRED`: what must be filled in before building."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Required:
    """The type of `REQUIRED`: one instance, kept by copy and pickle (which call `__reduce__`)."""

    __slots__ = ()

    def __new__(cls) -> Required:
        return REQUIRED if "REQUIRED" in globals() else object.__new__(cls)

    def __repr__(self) -> str:
        return "REQUIRED"

    def __reduce__(self) -> str:
        return "REQUIRED"


REQUIRED: Any = Required()
"""Marks an argument that must be filled in before building; the string "???" means the same."""


def is_required(value: Any) -> bool:
    """Return whether `value` is `REQUIRED` or "???"."""
    return value is REQUIRED or (type(value) is str and value == "???")
