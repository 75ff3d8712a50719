"""Objects of dataclasses and attrs classes as nodes."""

from __future__ import annotations

from lazycfg.config.errors import ConfigError
from lazycfg.config.tree.containers import arguments_of_fields, has_fields
from lazycfg.config.tree.node import Node, raw_set

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def dump_dataclass(obj: Any) -> Node:
    """Return an object of a dataclass or attrs class as the node that builds an equal one: its class as
    target, its fields as arguments.

    Such objects in fields, and in lists, tuples and dicts in fields, become nodes too. Fields that the
    constructor does not take (`init=False`) are left out. Raises `ConfigError` for any other object.
    """
    if not has_fields(obj) or isinstance(obj, type):
        raise ConfigError(f"dump_dataclass takes an object of a dataclass, not {type(obj).__name__}: {obj!r}")
    node = Node(_target_=type(obj))
    for name, argument in arguments_of_fields(type(obj)).items():
        raw_set(node, argument, _dump(getattr(obj, name)))
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
