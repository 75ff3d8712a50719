"""The quick way through trees of the usual kind, for `check` (see `sound`) and `instantiate` (see
`gathering`).

Most trees are nodes, lists, tuples and dicts of plain values in which nothing is wrong. For these a short
recursion is enough, which keeps no chains and writes no messages. Whatever it has doubts about ("???", a
dataclass object with nodes in it, a wrong argument, a circle, a tree that is very deep) it leaves to `survey`
and `Finder`, which look at the whole tree again and know how to say what is wrong. Nothing is built or
changed before the last doubt is ruled out.
"""

from __future__ import annotations

from lazycfg.config.errors import InterpolationError, TargetError
from lazycfg.config.node import REQUIRED, raw_get, raw_keys
from lazycfg.config.signature import accepts, resolve_target, signature_of
from lazycfg.config.traverse import ATOMS, children

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lazycfg.config.signature import Signature

__all__ = ["DEEPEST", "Doubt", "ask", "look_into", "plain_value", "resolved", "signature_for"]

DEEPEST = 120  # levels of recursion; Python allows 1,000 frames, and some are taken already


class Doubt(Exception):
    """The tree is not one for the quick way."""


def resolved(target: Any) -> Any:
    """A target that is not a plain class: imported where it was only named, and of a kind that can be
    remembered."""
    try:
        target = resolve_target(target)
        hash(target)
    except (TargetError, TypeError):
        raise Doubt from None
    return target


def signature_for(target: Any) -> Signature | None:
    """The signature of a target, None when nothing is known of it or there is none."""
    return None if target is None else signature_of(target)


def ask(signature: Signature, items: dict[str, Any]) -> None:
    """Raise `Doubt` unless a call with these arguments fits (`_target_` may be among them)."""
    given = len(raw_get(items, "_args_") or ())
    if not accepts(signature, raw_keys(items), given, bool(raw_get(items, "_partial_"))):
        raise Doubt


def plain_value(text: str, root: Any, below: list[Any]) -> Any:
    """What an interpolation stands for, when that is plain; raises `Doubt` for a container, and for "???".

    Args:
        below: the containers from `root` down to the one that holds the text, both included.
    """
    from lazycfg.config.interpolation import chain_of, resolve_in

    try:
        value = resolve_in(text, [*chain_of(root)[:-1], *below])
    except InterpolationError:
        raise Doubt from None
    if (type(value) is not str and type(value) not in ATOMS) or value == "???":
        raise Doubt
    return value


def look_into(value: Any) -> bool:
    """Raise `Doubt` unless an object can be passed on as it is: one with fields only when there is nothing in
    them to build. Returns whether it has fields."""
    if value is REQUIRED or isinstance(value, dict):
        raise Doubt
    inside = children(value)
    for _, child in inside or ():
        kind = type(child)
        if kind is str:
            if "${" in child or child == "???":
                raise Doubt
        elif kind not in ATOMS and not (kind is tuple and ATOMS.issuperset(map(type, child))):
            raise Doubt
    return inside is not None
