"""Whether a literal is of the type that a parameter is annotated with.

Only literals are judged (None, numbers, text, and lists, tuples and dicts of such): a node or any other
object is taken. Lenient where PyTorch is: None for a default of None, an int for a float, a list for a
tuple, 0 and 1 for a bool, text for a device or a path. What the annotation does not say clearly is allowed.
"""

from __future__ import annotations

import enum
import types
import typing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["doubtful_types", "fits", "misfit", "type_text"]

_LITERALS = (type(None), bool, int, float, complex, str, bytes, list, tuple, dict)


def doubtful_types(hint: Any, default: Any) -> frozenset[type]:
    """The types of which some literals do not fit the annotation; of these the value must be looked at."""
    probes = (
        (None,),
        (True, False),
        (2,),
        (2.5,),
        (2j,),
        ("text",),
        (b"",),
        ([0.5j],),
        ((0.5j,),),
        ({0.5j: 0.5j},),
    )
    return frozenset(type(p[0]) for p in probes if not all(fits(value, hint, default) for value in p))


def misfit(value: Any, hint: Any, default: Any) -> str | None:
    """What is wrong with a literal, as text; None when it fits."""
    if fits(value, hint, default):
        return None
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return f"expected {type_text(hint)}, got {type(value).__name__} {shown}"


def type_text(hint: Any) -> str:
    """An annotation as it would be written."""
    if isinstance(hint, type) and not hasattr(hint, "__origin__") and not getattr(hint, "__args__", None):
        return hint.__qualname__
    return str(hint).replace("typing.", "")


def fits(value: Any, hint: Any, default: Any = None) -> bool:
    """Whether a parameter with this annotation and default takes `value`."""
    kind = type(value)
    if kind not in _LITERALS:
        return True
    if kind is str and (value == "???" or "${" in value):
        return True
    if default is None and value is None:
        return True
    if kind is type(default) and kind is not type(None) and kind is not dict:
        return True  # the signature itself breaks its annotation, so it is not to be trusted
    try:
        return _fits(value, kind, hint)
    except TypeError:  # a hint that isinstance refuses: a protocol, a subscripted class
        return True


def _fits(value: Any, kind: type, hint: Any) -> bool:
    if kind not in _LITERALS or (kind is str and (value == "???" or "${" in value)):
        return True
    if hint is None or hint is type(None):
        return value is None
    if hint is typing.Any or hint is object or isinstance(hint, (str, typing.TypeVar, typing.ForwardRef)):
        return True
    origin = typing.get_origin(hint)
    if origin is None:
        supertype = getattr(hint, "__supertype__", None)  # NewType
        if supertype is not None:
            return _fits(value, kind, supertype)
        return _is_instance(value, kind, hint) if isinstance(hint, type) else True
    args = typing.get_args(hint)
    if origin is typing.Union or origin is types.UnionType:
        return any(_fits(value, kind, arg) for arg in args)
    if origin is typing.Literal:
        return any(value == arg and kind is type(arg) for arg in args)
    if origin in (typing.Annotated, typing.Final, typing.ClassVar):
        return _fits(value, kind, args[0])
    if origin is type:
        return False  # no literal is a class
    if not isinstance(origin, type):
        return True
    if not _is_instance(value, kind, origin):
        return False
    return _elements_fit(value, kind, origin, args)


def _elements_fit(value: Any, kind: type, origin: type, args: tuple[Any, ...]) -> bool:
    if not args:
        return True
    if kind is dict:
        if len(args) != 2:
            return True
        return all(_fits(k, type(k), args[0]) and _fits(v, type(v), args[1]) for k, v in value.items())
    if kind not in (list, tuple):
        return True
    if issubclass(origin, tuple) and not (len(args) == 2 and args[1] is ...):
        if args == ((),):
            return not value
        return len(value) == len(args) and all(_fits(v, type(v), a) for v, a in zip(value, args, strict=True))
    return all(_fits(element, type(element), args[0]) for element in value)


def _is_instance(value: Any, kind: type, hint: type) -> bool:
    if isinstance(value, hint):
        # Text is a sequence of texts, but was not meant where a list of something is asked for.
        return not (
            kind is str and hint.__module__ in ("collections.abc", "typing") and hint.__name__ in _LISTS
        )
    if kind is bool or kind is int:
        if hint in (float, complex):
            return True
        if hint is bool:
            return value in (0, 1)
    if kind is float and hint is complex:
        return True
    if kind is list and issubclass(tuple, hint):
        return True
    if kind is tuple and issubclass(list, hint):
        return True
    name = hint.__name__.lower()
    if kind is str and ("path" in name or name == "device"):
        return True
    if kind is int and name == "device":
        return True
    # An enum is written as its value or name by many; a protocol says nothing of literals.
    return issubclass(hint, enum.Enum) or bool(getattr(hint, "_is_protocol", False))


_LISTS = ("Sequence", "MutableSequence", "Collection")
