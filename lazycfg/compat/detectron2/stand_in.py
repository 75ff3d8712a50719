"""Classes of the alias whose instances are those of a class of lazycfg as well."""

from __future__ import annotations

from abc import ABCMeta
from typing import Any

__all__ = ["StandIn"]


class StandIn(ABCMeta):
    """Metaclass: ``isinstance(x, Old)`` is true for what lazycfg builds itself, too.

    A class says with ``stands_for = Ours`` in its own body which class of lazycfg it stands for.
    """

    def __instancecheck__(cls, instance: Any) -> bool:
        return super().__instancecheck__(instance) or _is_stood_for(cls, type(instance))

    def __subclasscheck__(cls, subclass: type) -> bool:
        return super().__subclasscheck__(subclass) or _is_stood_for(cls, subclass)


def _is_stood_for(cls: type, other: type) -> bool:
    """Return whether a class is, or derives from, what `cls` stands for.

    By its bases alone: `issubclass` would ask the abstract class of lazycfg, which asks its subclasses again.
    """
    ours = vars(cls).get("stands_for")
    return ours is not None and ours in other.__mro__
