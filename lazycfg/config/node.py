"""The node of a config tree: one recorded call, or one plain dict of a config file.

A `Node` is a dict. The arguments are its items; a node that records a call also has

- `_target_`: what is called: a callable, a `"pkg.mod.Name"` string, or another node;
- `_args_`: the positional arguments that have no name (of `*args`, of builtins without a signature), if any;
- `_partial_`: True when building gives a `functools.partial` instead of calling.

A node without `_target_` is built as a plain dict. Nothing is copied by nesting, and containers inside a
node stay what they are; only an exact `dict` that is assigned into a node (`node.train = dict(...)`) becomes
a node, as every dict of a config file does when the file is loaded.

Attributes are items: `node.depth` reads and `node.depth = 101` sets the argument. An argument that is named
like a method of dict (`items`, `copy`, ...) is reached as `node["items"]`, the attribute stays the method.

Reading resolves `${...}`. A relative or absolute interpolation needs to know what is above the node, and a
node may be shared by several parents; the rule is: *the parent is the node through which it was last read*.
So `cfg.a.b.x` is resolved along `cfg`, `a`, `b`. (`instantiate`, `check` and `get_path` resolve along the
path they walk.)

Code of this package that wants the stored values uses `raw_items` and friends below, which resolve and
record nothing. What it stores goes through `raw_set` and friends, never through `dict`'s own methods: a node
remembers what `instantiate` and `check` found out about it until it is written to.
"""

from __future__ import annotations

from _collections_abc import ItemsView, ValuesView

from lazycfg.config.errors import ConfigAttributeError, ConfigKeyError
from lazycfg.config.provenance.position import Write, record_write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    _DictBase = dict[Any, Any]
    _ItemsBase = ItemsView[Any, Any]
    _ValuesBase = ValuesView[Any]
else:
    _DictBase = dict
    _ItemsBase = ItemsView
    _ValuesBase = ValuesView

__all__ = [
    "REQUIRED",
    "Node",
    "edit_count",
    "is_call",
    "is_required",
    "parent_of",
    "raw_clear",
    "raw_contains",
    "raw_get",
    "raw_items",
    "raw_keys",
    "raw_pop",
    "raw_set",
    "raw_update",
    "raw_values",
    "to_nodes",
]

SPECIAL = ("_target_", "_args_", "_partial_")

raw_items = dict.items
raw_values = dict.values
raw_keys = dict.keys
raw_get = dict.get
raw_contains = dict.__contains__

_object_get = object.__getattribute__
_MISSING: Any = type("Missing", (), {"__slots__": (), "__repr__": lambda self: "<missing>"})()


class _Required:
    """The type of `REQUIRED`: one instance, kept by copy and pickle."""

    __slots__ = ()

    def __new__(cls) -> _Required:
        return REQUIRED if "REQUIRED" in globals() else object.__new__(cls)

    def __repr__(self) -> str:
        return "REQUIRED"

    def __reduce__(self) -> str:
        return "REQUIRED"

    def __copy__(self) -> _Required:
        return self

    def __deepcopy__(self, memo: Any) -> _Required:
        return self


REQUIRED: Any = _Required()
"""Marks an argument that must be filled in before building; the string "???" means the same."""


def is_required(value: Any) -> bool:
    """Whether `value` is `REQUIRED` or "???"."""
    return value is REQUIRED or (type(value) is str and value == "???")


class _Items(_ItemsBase):
    """`node.items()`, with `${...}` resolved as it goes."""

    __slots__ = ()


class _Values(_ValuesBase):
    """`node.values()`, with `${...}` resolved as it goes."""

    __slots__ = ()


class Node(_DictBase):
    """One recorded call, or one dict of a config file; see the module's docstring."""

    # Set only when there is something to say: code object and instruction offset of the call (or an
    # `Origin`), the container last read through, the log of writes, and what is known of the arguments (see
    # `calls`). No argument can clash: attribute access sees items only.
    __slots__ = ("_lz_code", "_lz_lasti", "_lz_looked", "_lz_notes", "_lz_parent")

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __getattribute__(self, name: str) -> Any:
        value = raw_get(self, name, _MISSING)
        if value is _MISSING or name in _RESERVED:
            try:
                return _object_get(self, name)
            except AttributeError:
                pass
            raise ConfigAttributeError(name, [k for k in raw_keys(self) if k != "_target_"])
        kind = type(value)
        if kind is str:
            if "${" in value:
                return _resolved(self, value)
        elif kind in _HOLDERS:
            _stamp(value, self)
        return value

    def __getitem__(self, key: Any) -> Any:
        value = raw_get(self, key, _MISSING)
        if value is _MISSING:
            raise ConfigKeyError(key, [k for k in raw_keys(self) if k != "_target_"])
        kind = type(value)
        if kind is str:
            if "${" in value:
                return _resolved(self, value)
        elif kind in _HOLDERS:
            _stamp(value, self)
        return value

    def __iter__(self) -> Iterator[Any]:
        # Overridden so that `f(**node)` and `dict(node)` take the way of keys() and [], which resolves
        # `${...}`.
        return dict.__iter__(self)

    def get(self, key: Any, default: Any = None, /) -> Any:
        return self[key] if raw_contains(self, key) else default

    def items(self) -> Any:
        return _Items(self)

    def values(self) -> Any:
        return _Values(self)

    # Writing: every way to write goes through `_put` or `_drop`, which remember who did it.

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _RESERVED:
            warn_reserved([name], 2)
        _put(self, name, value)

    def __setitem__(self, key: Any, value: Any) -> None:
        _put(self, key, value)

    def __delattr__(self, name: str) -> None:
        if not raw_contains(self, name):
            raise ConfigAttributeError(name, list(raw_keys(self)))
        _drop(self, name)

    def __delitem__(self, key: Any) -> None:
        if not raw_contains(self, key):
            raise ConfigKeyError(key, list(raw_keys(self)))
        _drop(self, key)

    def update(self, *args: Any, **kwargs: Any) -> None:
        for key, value in dict(*args, **kwargs).items():
            _put(self, key, value)

    def setdefault(self, key: Any, default: Any = None, /) -> Any:
        if not raw_contains(self, key):
            _put(self, key, default)
        return self[key]

    def pop(self, key: Any, default: Any = _MISSING, /) -> Any:
        if raw_contains(self, key):
            value = self[key]
            _drop(self, key)
            return value
        if default is _MISSING:
            raise ConfigKeyError(key, list(raw_keys(self)))
        return default

    def popitem(self) -> tuple[Any, Any]:
        if not len(self):
            raise KeyError("popitem(): the node is empty")
        key = next(reversed(raw_keys(self)))
        value = self[key]
        _drop(self, key)
        return key, value

    def clear(self) -> None:
        for key in list(raw_keys(self)):
            _drop(self, key)

    def __or__(self, other: Any) -> Any:
        if not isinstance(other, dict):
            return NotImplemented
        result = self.__copy__()
        for key, value in raw_items(other):
            _put(result, key, value)
        return result

    def __ror__(self, other: Any) -> Any:
        return dict(other) | dict(raw_items(self)) if isinstance(other, dict) else NotImplemented

    def __ior__(self, other: Any) -> Any:
        for key, value in dict(other).items():
            _put(self, key, value)
        return self

    # Whole trees: see `traverse`. None of these uses the stack of the interpreter for the depth of the tree.

    def args(self) -> dict[str, Any]:
        """The arguments by name, without `_target_`, `_args_` and `_partial_`."""
        return {key: self[key] for key in raw_keys(self) if key not in SPECIAL}

    def copy(self) -> Any:
        """A deep copy, as `copy.deepcopy`: what is shared inside the tree is shared inside the copy."""
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        from lazycfg.config.traverse import deep_copy

        return deep_copy(self, memo)

    def __copy__(self) -> Any:
        result = Node(raw_items(self))
        _inherit(self, result)
        return result

    def __eq__(self, other: object) -> Any:
        if not isinstance(other, dict):
            return NotImplemented
        from lazycfg.config.traverse import same_tree

        return same_tree(self, other)

    def __ne__(self, other: object) -> Any:
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    __hash__ = None

    def __repr__(self) -> str:
        from lazycfg.config.brief import short_repr

        return short_repr(self)

    def _repr_html_(self) -> str:
        from lazycfg.config.views.html_view import html_tree

        return html_tree(self)

    def __dir__(self) -> list[str]:
        return sorted({*map(str, raw_keys(self)), *object.__dir__(self)})

    def __reduce_ex__(self, protocol: Any) -> Any:
        from lazycfg.config.provenance.position import FilePosition, position_of

        origin = position_of(self)
        where = None if origin is None else FilePosition(str(origin.file), origin.line, origin.column)
        return (Node, (), (dict(raw_items(self)), where))

    def __setstate__(self, state: Any) -> None:
        from lazycfg.config.provenance.position import set_position

        raw_update(self, state[0])
        set_position(self, state[1])


_RESERVED = frozenset(dir(Node))
_HOLDERS = frozenset((Node, list, tuple, dict))
_SLOTS: Any = {name: getattr(Node, name) for name in Node.__slots__}
_set_parent, _get_parent = _SLOTS["_lz_parent"].__set__, _SLOTS["_lz_parent"].__get__
_set_code, _get_code = _SLOTS["_lz_code"].__set__, _SLOTS["_lz_code"].__get__
_set_lasti, _get_lasti = _SLOTS["_lz_lasti"].__set__, _SLOTS["_lz_lasti"].__get__
_set_looked, _get_looked = _SLOTS["_lz_looked"].__set__, _SLOTS["_lz_looked"].__get__
_set_notes, _get_notes = _SLOTS["_lz_notes"].__set__, _SLOTS["_lz_notes"].__get__


_edits = [0]


def edit_count() -> int:
    """How often nodes were changed, all of them together."""
    return _edits[0]


def _forget(node: Node) -> None:
    """A node was changed: what was found out about it, and about the trees it stands in, holds no more."""
    _edits[0] += 1
    try:
        looked = _get_looked(node)
    except AttributeError:  # a slot that was never set
        return
    if looked is not None:
        _set_looked(node, None)
        if type(looked) is list:
            looked[1].drop()


# Writing without a word to the log of writes. A holder may be any dict; only a node is written to behind its
# own methods, as an `OrderedDict` would lose its order.


def raw_set(holder: dict[Any, Any], key: Any, value: Any) -> None:
    """`holder[key] = value`, which is not logged."""
    if type(holder) is Node:
        dict.__setitem__(holder, key, value)
        _forget(holder)
    else:
        holder[key] = value


def raw_update(holder: dict[Any, Any], items: Any) -> None:
    """`holder.update(items)`, which is not logged."""
    if type(holder) is Node:
        dict.update(holder, items)
        _forget(holder)
    else:
        holder.update(items)


def raw_pop(holder: dict[Any, Any], key: Any, *default: Any) -> Any:
    """`holder.pop(key, default)`, which is not logged."""
    if type(holder) is Node:
        value = dict.pop(holder, key, *default)
        _forget(holder)
        return value
    return holder.pop(key, *default)


def raw_clear(holder: dict[Any, Any]) -> None:
    """`holder.clear()`, which is not logged."""
    if type(holder) is Node:
        dict.clear(holder)
        _forget(holder)
    else:
        holder.clear()


def is_call(value: Any) -> bool:
    """Whether `value` is a node that records a call (it has a `_target_`)."""
    return type(value) is Node and raw_contains(value, "_target_")


def warn_reserved(names: list[str], depth: int) -> None:
    """Warn, in the name of the code `depth` frames above the caller, about arguments that hide behind
    methods.
    """
    import sys
    import warnings

    if str(sys._getframe(depth).f_globals.get("__name__")).startswith("lazycfg_configs."):
        return  # a config file: whoever loads it can do nothing about the names that a function has
    shown = ", ".join(repr(n) for n in sorted(names))
    warnings.warn(
        f"argument {shown} is named like a method of dict: reach it as node[{sorted(names)[0]!r}], "
        "the attribute stays the method",
        stacklevel=depth + 1,
    )


def _resolved(node: Node, text: str) -> Any:
    from lazycfg.config.interpolation import resolve_read

    return resolve_read(node, text)


def _stamp(value: Any, parent: Any) -> None:
    """Note that `value` was read through `parent`, a node or a chain (container, its parent)."""
    if type(value) is Node:
        _set_parent(value, parent)
    elif value:
        elements = value.values() if type(value) is dict else value
        first = next(iter(elements))
        # A list that is read in a loop must cost next to nothing, be it of numbers or of nodes.
        if len(value) > 16:
            if type(first) not in _HOLDERS or (type(value) is not dict and _is_stamped(value, parent)):
                return
        elif _HOLDERS.isdisjoint(map(type, elements)):
            return
        above = (value, parent)
        for element in elements:
            if type(element) in _HOLDERS:
                _stamp(element, above)


def _is_stamped(value: Any, parent: Any) -> bool:
    """Whether the first and the last node of a list or tuple know already that they were read through it."""
    for element in (value[0], value[-1]):
        above = parent_of(element) if type(element) is Node else None
        if type(above) is not tuple or above[0] is not value or above[1] is not parent:
            return False
    return True


def set_chain(chain: list[Any]) -> None:
    """Note that each container of `chain` was read through the one before it."""
    parent: Any = None
    for value in chain:
        if type(value) is Node:
            if parent is not None:
                _set_parent(value, parent)
            parent = value
        else:
            parent = (value, parent)


def parent_of(node: Any) -> Any:
    """What `node` was last read through: a node, a pair (list or tuple or dict, its parent), or None."""
    try:
        return _get_parent(node)
    except AttributeError:
        return None


def _put(node: Node, key: Any, value: Any) -> None:
    """Set an item for the code that called the method of `node`, and remember it."""
    if type(value) is dict:
        value = to_nodes(value)
    if type(value) is Node and value is not node:
        _set_parent(value, node)
    record_write(node, key, value, depth=3)
    raw_set(node, key, value)


def _drop(node: Node, key: Any) -> None:
    record_write(node, key, Write.DELETED, depth=3)
    raw_pop(node, key)


def _inherit(source: Node, copy: Node, *, parent: bool = True) -> None:
    """Give a copy the position, the log of writes and, if wanted, the parent of its original."""
    try:
        _set_code(copy, _get_code(source))
        _set_lasti(copy, _get_lasti(source))
    except AttributeError:  # a slot that was never set
        pass
    if parent and parent_of(source) is not None:
        _set_parent(copy, _get_parent(source))
    try:
        writes = _get_notes(source).get("writes")
    except AttributeError:
        return
    if writes:
        _set_notes(copy, {"writes": list(writes)})


def to_nodes(value: Any) -> Any:
    """Turn every exact `dict` reachable from `value` into a `Node`; the same dict becomes the same node. All
    nodes learn what is above them.

    Nodes and lists are changed in place, tuples are rebuilt where an element changed. Other objects are left
    alone.
    """
    made: dict[int, Any] = {}
    keep: list[Any] = []  # ids in `made` stay valid
    work: list[Any] = []

    def convert(item: Any, parent: Any) -> Any:
        kind = type(item)
        if kind not in _HOLDERS:
            return item
        if id(item) in made:
            return made[id(item)]
        keep.append(item)
        result = item
        if kind is tuple:
            parts = [convert(part, (item, parent)) for part in item]
            if any(a is not b for a, b in zip(parts, item, strict=True)):
                result = tuple(parts)
            _stamp(result, parent)
        else:
            if kind is dict:
                result = Node(item)
            if type(result) is Node and parent is not None:
                _set_parent(result, parent)
            work.append((result, parent))
        made[id(item)] = result
        return result

    root = convert(value, None)
    while work:
        holder, parent = work.pop()
        is_node = type(holder) is Node
        inner = holder if is_node else (holder, parent)
        for key, item in list(raw_items(holder) if is_node else enumerate(holder)):
            new = convert(item, inner)
            if new is not item:
                if is_node:
                    raw_set(holder, key, new)
                else:
                    holder[key] = new
    return root
