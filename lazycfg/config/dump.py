"""Dataclass objects as nodes."""

from __future__ import annotations

from lazycfg.config.errors import ConfigError
from lazycfg.config.node import Node, raw_set
from lazycfg.config.traverse import has_fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["dump_dataclass"]


def dump_dataclass(obj: Any) -> Node:
    """A dataclass object as the node that builds an equal one: its class as target, its fields as arguments.

    Dataclass objects in fields, and in lists, tuples and dicts in fields, become nodes too. Fields that the
    constructor does not take (`init=False`) are left out. Raises `ConfigError` for anything but a dataclass
    object.
    """
    if not has_fields(obj) or isinstance(obj, type):
        raise ConfigError(f"dump_dataclass takes an object of a dataclass, not {type(obj).__name__}: {obj!r}")
    node = Node(_target_=type(obj))
    for name, field in type(obj).__dataclass_fields__.items():
        if field.init and field._field_type.name == "_FIELD":
            raw_set(node, name, _dump(getattr(obj, name)))
    return node


def _dump(value: Any) -> Any:
    if isinstance(value, type):
        return value
    if has_fields(value):
        return dump_dataclass(value)
    if type(value) is list or type(value) is tuple:
        return type(value)(_dump(element) for element in value)
    if type(value) is dict:
        return {key: _dump(element) for key, element in value.items()}
    return value
