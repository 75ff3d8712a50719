"""What counts as a container of a config, and what is in it.

Containers are nodes, dicts, lists, tuples, named tuples, other classes of dict (`OrderedDict`,
`defaultdict`), and objects of dataclasses and of attrs classes. Everything else is a leaf.
"""

from __future__ import annotations

import types
from operator import is_

from lazycfg.config.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from typing import Any, NoReturn

# What most values are: passed over with one lookup of their type. Anything else is looked at more closely.
ATOMS = frozenset(
    (
        *(int, float, bool, complex, bytes, type(None), type, type(...), range, slice),
        *(types.FunctionType, types.BuiltinFunctionType, types.ModuleType),
    )
)
LEAVES = ATOMS | {str}


class ReadOnlyError(ConfigError, TypeError):
    """A container with `${...}` in it was to be changed where it was read."""


def _refuse(self: Any, *args: Any, **kwargs: Any) -> NoReturn:
    kind = "list" if isinstance(self, list) else "dict"
    raise ReadOnlyError(
        f"this {kind} of the config has ${{...}} in it, or the config is frozen: it cannot be changed in "
        "place; assign a new one, as in cfg.values = "
        f"{'[*cfg.values, 1]' if kind == 'list' else '{**cfg.values, key: 1}'}"
    )


class ReadList(list):  # type: ignore[type-arg]
    """A list as it was read, with `${...}` resolved; changing it raises `ReadOnlyError`."""

    __slots__ = ()
    append = extend = insert = remove = pop = clear = sort = reverse = _refuse
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse

    def __reduce__(self) -> Any:
        return list, (list(self),)


class ReadDict(dict):  # type: ignore[type-arg]
    """A dict as it was read, with `${...}` resolved; changing it raises `ReadOnlyError`."""

    __slots__ = ()
    update = pop = popitem = clear = setdefault = _refuse
    __setitem__ = __delitem__ = __ior__ = _refuse

    def __reduce__(self) -> Any:
        return dict, (dict(self),)


def to_plain(value: Any) -> Any:
    """Return what was read as a plain list or dict again, all the way down; anything else is itself."""
    kind = type(value)
    if kind is ReadList:
        return [to_plain(element) for element in value]
    if kind is ReadDict:
        return {key: to_plain(element) for key, element in value.items()}
    if isinstance(value, tuple) and (kind is tuple or hasattr(kind, "_fields")):
        parts = tuple(map(to_plain, value))
        if all(map(is_, parts, value)):
            return value
        return parts if kind is tuple else kind(*parts)
    return value


def has_fields(value: Any) -> bool:
    """Return whether `value` is an object of a dataclass or of an attrs class (not the class itself)."""
    kind = type(value)
    return hasattr(kind, "__dataclass_fields__") or hasattr(kind, "__attrs_attrs__")


def field_names(kind: type) -> Iterable[str] | None:
    """Return the names of the fields of a dataclass or attrs class, None for any other class."""
    names = getattr(kind, "__dataclass_fields__", None)
    if names is not None:
        return list(names)
    attributes = getattr(kind, "__attrs_attrs__", None)
    return None if attributes is None else [attribute.name for attribute in attributes]


def odd_children(value: Any) -> Iterable[tuple[Any, Any]] | None:
    """Return the children, with their keys, of what is no plain dict, list or tuple; None for a leaf."""
    kind = type(value)
    if kind in LEAVES or isinstance(value, type):
        return None
    if isinstance(value, tuple):
        fields = getattr(kind, "_fields", None)  # other subclasses of tuple (torch.Size) are leaves
        return zip(fields, value, strict=False) if fields is not None else None
    if isinstance(value, dict):
        return dict.items(value)
    if kind is ReadList:
        return enumerate(value)
    names = field_names(kind)
    return None if names is None else [(name, getattr(value, name)) for name in names if hasattr(value, name)]


def hides_nodes(value: Any) -> bool:
    """Return whether nodes are in an object that is no container of a config though it holds things: a
    subclass of list, a deque, a namespace.
    """
    held: Any = value
    if not (isinstance(value, list) or type(value).__name__ == "deque"):
        held = vars(value).values() if isinstance(value, types.SimpleNamespace) else ()
    return any(hasattr(type(element), "__lazycfg_path__") for element in held)


def inner_values(value: Any) -> Collection[Any] | None:
    """Return what is in a container, as stored; None for a leaf."""
    kind = type(value)
    if kind is list or kind is tuple:
        found: Collection[Any] = value
        return found
    if isinstance(value, dict):
        return dict.values(value)
    if kind in LEAVES:
        return None
    items = odd_children(value)
    return None if items is None else [child for _, child in items]


def children(value: Any) -> Iterable[tuple[Any, Any]] | None:
    """Return the children of a container with their keys, as stored; None for a leaf.

    Keys are those of the dict, indices, or names of fields. The target of a node is its child `_target_`.
    """
    kind = type(value)
    if isinstance(value, dict):
        return dict.items(value)
    if kind is list or kind is tuple:
        return enumerate(value)
    return odd_children(value)


def arguments_of_fields(kind: Any) -> dict[str, str]:
    """Return the fields that the constructor of a dataclass or attrs class takes, with the argument of each.

    attrs takes a field `_x` as argument `x`.
    """
    fields = getattr(kind, "__dataclass_fields__", None)
    if fields is not None:
        return {name: name for name, f in fields.items() if f.init and f._field_type.name == "_FIELD"}
    found = [a for a in kind.__attrs_attrs__ if a.init]
    return {a.name: getattr(a, "alias", None) or a.name.lstrip("_") for a in found}
