"""What the value of an override means where it is put: by the declared type, else by the value it replaces.

``train.max_iter=1e3`` is 1000 and ``colour=RED`` a member of an enum, because the parameter or the old value
says so. Text for a number, a truth value for a number, a number for a dict and the like are refused, as they
are mostly slips (``train.amp={enabled:true,dtype:float16}`` without quotes, ``train.max_iter=1,000``).
"""

from __future__ import annotations

import enum
import re
import sys
import typing
from collections.abc import Sequence
from contextlib import suppress
from itertools import repeat
from pathlib import PurePath
from typing import Any, Literal

from lazycfg.config.editing.grammar import parse_value
from lazycfg.config.errors import ConfigError, TargetError
from lazycfg.config.signatures.binding import known_signature
from lazycfg.config.signatures.types import fits, type_text
from lazycfg.config.suggest import closest, closest_name
from lazycfg.config.tree.node import Node, is_call, raw_get, raw_items
from lazycfg.config.tree.repr import short_repr, shown
from lazycfg.config.tree.required import is_required
from lazycfg.config.tree.targets import is_deferred, resolve_target, target_name

NO_HINT: Any = type("NoHint", (), {"__repr__": lambda self: "<no hint>"})()
"""Stands for the annotation of a place that has none."""

_EXPONENT = re.compile(r"[+-]?\d+(?:\.\d*)?[eE]\+?\d+")


class Meaning(ConfigError):
    """A value that a place cannot mean."""


def as_meant(old: Any, value: Any, raw: str, hint: Any) -> Any:
    """Return the value that is meant: a member of an enum for its name, an int for ``1e3`` where an int is
    wanted, the text itself where the parameter takes text, a path or a dtype.

    Args:
        old: what is there now, if anything.
        value: the value as parsed.
        raw: its text.
        hint: the annotation of the parameter, or `NO_HINT`.

    Raises:
        Meaning: it is no member of the enum, or no dtype, that is wanted.
    """
    wanted = hint
    if hint is not NO_HINT:
        if type(value) in (list, tuple):
            value = _elements(value, raw, hint)
        value = _as_name(value, raw, hint) if value is None else _as_text(value, raw, hint)
    elif isinstance(old, enum.Enum) and value is not None:
        wanted = type(old)
    value = _as_member(value, raw, wanted)
    is_int = type(old) is int or _accepts(hint, int, False)
    if type(value) is float and value.is_integer() and is_int and _EXPONENT.fullmatch(raw):
        return int(value) if not _accepts(hint, float, False) or type(old) is int else value
    return value


def _as_text(value: Any, raw: str, hint: Any) -> Any:
    """Return what the text of a value means where the annotation takes text or what text can name."""
    is_text = type(value) is str
    bare = type(value) in (int, float, bool, tuple) and raw[:1] not in ("(", "'", '"')
    if not (is_text or bare) or (is_text and ("${" in value or is_required(value))):
        return value
    text = value if is_text else raw.strip()
    parts = [part for part in _parts(hint) if isinstance(part, type)]
    if bare and not {int, float, bool, complex}.isdisjoint(parts):
        return value  # a number of the wrong kind, no text
    if str in parts or not (is_text or any(map(_is_path, parts))):
        return text if not fits(value, hint) and fits(text, hint) else value
    for part in parts:
        if _is_path(part) and (is_text or not fits(value, hint)):
            return part(text)
        if is_text and part.__name__ == "dtype" and part.__module__ in sys.modules:
            return _dtype(text, part)
    return value


def _as_name(value: None, raw: str, hint: Any) -> str | None:
    """Return the text ``none`` where the annotation lists it and no None."""
    parts = _parts(hint)
    listed = [text for part in parts if typing.get_origin(part) is Literal for text in typing.get_args(part)]
    return raw if raw in listed and None not in listed and type(None) not in parts else value


def _as_member(value: Any, raw: str, hint: Any) -> Any:
    """Return the member of an enum that has a text or a literal as its name or value. A literal is one only
    where nothing but a member is wanted.
    """
    parts = [part for part in _parts(hint) if part is not type(None) or value is None]
    enums = [part for part in parts if isinstance(part, type) and issubclass(part, enum.Enum)]
    is_text = type(value) is str
    if not enums or (is_text and ("${" in value or is_required(value))):
        return value
    if not is_text and (type(value) not in (type(None), bool, int, float) or len(enums) < len(parts)):
        return value
    text = value if is_text else raw
    for owner in enums:
        if text in owner.__members__:
            return owner[text]
        for member in owner:
            same = member.value == (text if type(member.value) is str else value)
            if same and type(member.value) in (str, type(value)):
                return member
    if value is None or (is_text and any(part in (str, Any, object) for part in parts)):
        return value
    if type(value) is int:
        for owner in enums:
            with suppress(ValueError):
                return owner(value)  # flags, and classes that say themselves what a value means
    raise _no_member(text, enums)


def _no_member(value: str, enums: Sequence[type[enum.Enum]]) -> Meaning:
    names = [name for owner in enums for name in owner.__members__]
    near = closest_name(value, names)
    hint = f"did you mean {near!r}?" if near else f"use one of {', '.join(names[:12])}"
    return Meaning(f"{value!r} is not a member of {enums[0].__qualname__}; {hint}")


def _elements(value: Any, raw: str, hint: Any) -> Any:
    """Return a list or tuple with the texts in it, and numbers such as ``1e3``, as the annotation of its
    elements means them.
    """
    for part in _parts(hint):
        origin, args = typing.get_origin(part), typing.get_args(part)
        if not isinstance(origin, type) or not args or not issubclass(origin, Sequence):
            continue
        if issubclass(origin, tuple) and args[-1] is not ...:
            if len(args) == len(value):
                return type(value)(map(_element, value, repeat(raw), args))
        else:
            return type(value)(_element(element, raw, args[0]) for element in value)
    return value


def _element(value: Any, raw: str, hint: Any) -> Any:
    if type(value) is float:  # which of the numbers in a text is this one?
        written = [word for word in _EXPONENT.findall(raw) if float(word) == value]
        return as_meant(None, value, written[0], hint) if written else value
    return as_meant(None, value, value, hint) if type(value) is str else value


def _is_path(part: type) -> bool:
    return issubclass(part, PurePath)


def _dtype(text: str, kind: type) -> Any:
    """Return the dtype of a name, with or without its module."""
    module = sys.modules[kind.__module__]
    known = {name: found for name, found in vars(module).items() if isinstance(found, kind)}
    name = text.removeprefix(f"{kind.__module__}.")
    if name not in known:
        raise Meaning(f"{text!r} is not a dtype of {kind.__module__}{closest(name, known)}")
    return known[name]


def _parts(hint: Any) -> tuple[Any, ...]:
    """Return the members of a union; any other annotation is the only one."""
    origin = typing.get_origin(hint)
    if origin is typing.Union or type(hint).__name__ == "UnionType":
        return tuple(part for inner in typing.get_args(hint) for part in _parts(inner))
    if origin is typing.Annotated:
        return _parts(typing.get_args(hint)[0])
    return (hint,)


def _accepts(hint: Any, kind: type, otherwise: bool) -> bool:
    """Return whether an annotation names a type itself."""
    return otherwise if hint is NO_HINT else kind in _parts(hint)


def why_other_kind(path: str, old: Any, value: Any, raw: str, hint: Any) -> str | None:
    """Return why a value is mostly a slip beside the one that it replaces; None when it may be meant.

    What an annotation allows is meant, but for a truth value or a sequence where only a number is declared.
    """
    if value is None or is_required(value) or (type(value) is str and "${" in value):
        return None
    old_kind, new_kind = _kind(old), _kind(value)
    if new_kind == "a dict":
        plain = dict(raw_items(value))
        if hint is not NO_HINT and not fits(plain, hint):
            return f"{path!r}: expected {type_text(hint)}, got {shown(plain)}"
        if old_kind == "a call" and not any(dict in (part, typing.get_origin(part)) for part in _parts(hint)):
            name = target_name(raw_get(old, "_target_"), full=True)
            new_call = "" if ":" in name else f", {path}=@{name}(...) for a new call"
            return (
                f"{path!r} is a call of {name}, and a dict in its place would drop the target; write "
                f"{path}.KEY=... for an argument{new_call} (++{path}=... sets it anyway)"
            )
    if hint is not NO_HINT:
        numbers = any(part in (int, float, complex) for part in _parts(hint))
        opens = any(part in (bool, object, Any) for part in _parts(hint))
        if new_kind == "a truth value" and numbers and not opens:
            return f"{path!r} takes a number, and {value!r} is a truth value"
        if (old_kind, new_kind) == ("a number", "a sequence") and not opens:
            # A class that a sequence could be turned into (a tensor, for `lr`) does not count
            plain_parts = [part for part in _parts(hint) if getattr(part, "__module__", "") in _PLAIN]
            if numbers and not any(fits(value, part) for part in plain_parts):
                remedy = f"{_remedy(path, old, value, raw)} (++{path}=... sets it anyway)"
                return f"{path!r} takes a number, and {value!r} is a sequence{remedy}"
        return None
    if old_kind is None or new_kind is None or new_kind in _SAME[old_kind]:
        return None
    there = f"the {type(old).__name__} {old!r}" if old_kind in _ATOMS else old_kind
    given = f"{value!r} is text" if new_kind == "text" else f"{short_repr(value)} is {new_kind}"
    return f"{path!r} is {there}, and {given}{_remedy(path, old, value, raw)} (++{path}=... sets it anyway)"


_SAME: dict[str, tuple[str, ...]] = {
    "a number": ("a number",),
    "a truth value": ("a truth value",),
    "text": ("text",),
    "a dict": ("a dict", "a call"),
    "a call": ("a dict", "a call"),
    "a sequence": ("a sequence", "a number", "a call"),
}
_PLAIN = ("builtins", "collections.abc", "typing")  # modules of annotations that mean what they say
_ATOMS = ("a number", "a truth value", "text")


def _kind(value: Any) -> str | None:
    """Return the kind of a value; None for what may stand beside anything."""
    if is_required(value) or (type(value) is str and "${" in value):
        return None
    if isinstance(value, bool):
        return "a truth value"
    if type(value) in (int, float):
        return "a number"
    if type(value) is str:
        return "text"
    if is_call(value):
        return "a call"
    if type(value) in (Node, dict):
        return "a dict"
    return "a sequence" if type(value) in (list, tuple) else None


_AS_IN_YAML = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def _remedy(path: str, old: Any, value: Any, raw: str) -> str:
    """Return the end of the message: what may have been meant."""
    if type(old) in (Node, dict) and _kind(value) in _ATOMS and not (type(value) is str and ":" in value):
        keys = [key for key, _ in raw_items(old) if isinstance(key, str)]
        return f"; write {path}.KEY={raw or '...'} with one of its keys: {', '.join(keys)}" if keys else ""
    if type(value) is tuple and type(old) in (int, float):
        number = parse_value(raw.replace(",", ""))
        return f"; did you mean {number!r}?" if type(number) in (int, float) else ""
    if type(value) is str:
        if isinstance(old, dict) and ":" in value:
            return f"; quote braces for the shell: '{path}={{...}}'"
        if type(old) is bool and value.lower() in _AS_IN_YAML:
            return f"; write {_AS_IN_YAML[value.lower()]}"
        if type(old) is bool:
            return closest(value, ("true", "false", "null")) if closest_name(value, ("true", "false")) else ""
        return ""
    if type(old) is str and type(value) in (int, float, bool):
        return f"""; for text write '{path}="{raw}"'"""
    return ""


def hint_at(holder: Any, key: Any) -> Any:
    """Return the annotation of the parameter that a place is; `NO_HINT` when it is none, or not annotated."""
    signature = known_signature(holder) if isinstance(key, str) else None
    return NO_HINT if signature is None else signature.hints.get(key, NO_HINT)


def can_judge(target: Any, key: str, value: Any) -> bool:
    """Return whether it can be told if a call takes an argument.

    What a config that is only read imports is judged by its source, and imported only where the source does
    not tell; what a data file names is not imported to look at it.
    """
    if not is_deferred(target):
        return True
    signature = type(target).__lazycfg_signature__(target)
    if signature is not None:
        if key not in signature.parameters or key in signature.hints:
            return True
        if signature.surely_takes(key, value):
            return False  # there is nothing to judge
    try:
        resolve_target(target)
    except (TargetError, ImportError):
        return False
    return True
