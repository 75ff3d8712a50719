"""The node of a config tree: one recorded call, or one plain dict of a config file.

A `Node` is a dict. The arguments are its items; a node that records a call also has

- `_target_`: what is called: a callable, a `"pkg.mod.Name"` string, or another node;
- `_args_`: the positional arguments that have no name (of `*args`, of builtins without a signature), if any;
- `_partial_`: True when building gives a `functools.partial` instead of calling;
- `_recursive_`: False when the nodes inside are handed to the callee as they are, not built;
- `_convert_`: accepted from Hydra's files; containers always arrive as plain dicts and lists.

A node without `_target_` is built as a plain dict. Nothing is copied by nesting, and containers inside a
call stay what they are; only a `dict` that is given to `Node(...)` or assigned into a node
(`node.train = dict(...)`) becomes a node, as every dict of a config file does when the file is loaded
(`to_nodes` does it for a whole tree).

Attributes are items: `node.depth` reads and `node.depth = 101` sets the argument. An argument that is named
like a method of dict (`items`, `copy`, ...) is reached as `node["items"]`: the attribute is still the method.

Reading resolves `${...}`, also in lists, tuples and dicts. A relative or absolute interpolation depends on
what is above the node, and a node may stand in several places: *its parent is the one it was put into first*,
and the next one once it has been taken out of there. Reading, `check` and `instantiate` follow the same
parents. (A node that a method of `list` put into a list gets its parent when that list is next read.)

Code of this package that wants the stored values uses `raw_items` and friends below, which resolve nothing.
"""

from __future__ import annotations

from _collections_abc import ItemsView, ValuesView
from itertools import compress, repeat
from operator import is_not

from lazycfg.config.errors import ConfigAttributeError, ConfigKeyError, RequiredError
from lazycfg.config.tree.budget import Budget
from lazycfg.config.tree.containers import ATOMS, LEAVES, ReadOnlyError, inner_values, to_plain
from lazycfg.config.tree.paths import MISSING, format_path
from lazycfg.config.tree.placed import Placed, adopt, adopt_into, parent_of, set_parent
from lazycfg.config.tree.position import Write, record_write
from lazycfg.config.tree.required import is_required

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    _ItemsBase = ItemsView[Any, Any]
    _ValuesBase = ValuesView[Any]
else:
    _ItemsBase = ItemsView
    _ValuesBase = ValuesView

SPECIAL = ("_target_", "_args_", "_partial_", "_recursive_", "_convert_")

raw_items = dict.items
raw_values = dict.values
raw_keys = dict.keys
raw_get = dict.get
raw_contains = dict.__contains__

_object_get = object.__getattribute__


class _Items(_ItemsBase):
    """`node.items()`, with `${...}` resolved as it goes; what is to be filled in is `REQUIRED` or "???"."""

    __slots__ = ()

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        node: Any = getattr(self, "_mapping")  # noqa: B009
        budget = Budget()
        return ((key, _read(node, key, budget)) for key in raw_keys(node))


class _Values(_ValuesBase):
    """`node.values()`, as `_Items`."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        node: Any = getattr(self, "_mapping")  # noqa: B009
        budget = Budget()
        return (_read(node, key, budget) for key in raw_keys(node))


class Node(Placed):
    """One recorded call (with a `_target_`), or one group of values of a config."""

    # Code object and instruction offset of the call (or an `Origin`), the log of writes, and what the node
    # stands in. No argument can clash: attribute access sees items only.
    __slots__ = ("_lz_code", "_lz_lasti", "_lz_notes")

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, /, *args: Any, **kwargs: Any) -> None:
        dict.__init__(self, *args, **kwargs)
        set_parent(self, None)
        for key, value in raw_items(self):
            if type(value) is dict:
                dict.__setitem__(self, key, value := to_nodes(value))
            if type(value) not in LEAVES:
                adopt(value, self)

    def __getattribute__(self, name: str) -> Any:
        value = raw_get(self, name, MISSING)
        if value is MISSING or name in _RESERVED:
            try:
                return _object_get(self, name)
            except AttributeError:
                pass
            raise ConfigAttributeError(name, [k for k in raw_keys(self) if k != "_target_"], self)
        return value if type(value) in ATOMS else _given(self, name, value)

    def __getitem__(self, key: Any) -> Any:
        value = raw_get(self, key, MISSING)
        if value is MISSING:
            raise ConfigKeyError(key, [k for k in raw_keys(self) if k != "_target_"], self)
        return value if type(value) in ATOMS else _given(self, key, value)

    def __iter__(self) -> Iterator[Any]:
        # Overridden so that `f(**node)` and `dict(node)` take the way of keys() and [], which resolves
        # `${...}`.
        return dict.__iter__(self)

    def get(self, key: Any, default: Any = None, /) -> Any:
        """Return an item as reading gives it, or the default."""
        return _read(self, key) if raw_contains(self, key) else default

    def items(self) -> Any:
        """Return a view of the items as reading gives them."""
        return _Items(self)

    def values(self) -> Any:
        """Return a view of the values as reading gives them."""
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
            raise ConfigAttributeError(name, list(raw_keys(self)), self)
        _drop(self, name)

    def __delitem__(self, key: Any) -> None:
        if not raw_contains(self, key):
            raise ConfigKeyError(key, list(raw_keys(self)), self)
        _drop(self, key)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set items. Warns where a node that calls another target leaves arguments in place."""
        new = dict(*args, **kwargs)
        if args and is_call(args[0]):
            from lazycfg.config.tree.merging import warn_of_kept

            warn_of_kept(self, new)
        for key, value in new.items():
            _put(self, key, value)

    def setdefault(self, key: Any, default: Any = None, /) -> Any:
        """Set an item that is not there, and return it as reading gives it."""
        if not raw_contains(self, key):
            _put(self, key, default)
        return self[key]

    def pop(self, key: Any, default: Any = MISSING, /) -> Any:
        """Delete an item and return it as reading gave it. Raises `ConfigKeyError` without a default."""
        if raw_contains(self, key):
            value = _read(self, key)
            _drop(self, key)
            return value
        if default is MISSING:
            raise ConfigKeyError(key, list(raw_keys(self)), self)
        return default

    def popitem(self) -> tuple[Any, Any]:
        """Delete the last item and return it with its key. Raises `KeyError` for an empty node."""
        if not len(self):
            raise KeyError("popitem(): the node is empty")
        key = next(reversed(raw_keys(self)))
        value = _read(self, key)
        _drop(self, key)
        return key, value

    def clear(self) -> None:
        """Delete all items."""
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
        """Return the arguments by name, without `_target_`, `_args_` and their like."""
        budget = Budget()
        return {key: _read(self, key, budget) for key in raw_keys(self) if key not in SPECIAL}

    def copy(self) -> Any:
        """Return a deep copy, as `copy.deepcopy`: what is shared in the tree is shared in the copy."""
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        from lazycfg.config.tree.traversal import deep_copy

        return deep_copy(self, memo)

    def __copy__(self) -> Any:
        result = raw_node(self)
        _inherit(self, result)
        return result

    def __eq__(self, other: object) -> Any:
        if not isinstance(other, dict):
            return NotImplemented
        from lazycfg.config.tree.traversal import same_tree

        return same_tree(self, other)

    def __ne__(self, other: object) -> Any:
        equal = self.__eq__(other)
        return equal if equal is NotImplemented else not equal

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        from lazycfg.config.tree.repr import short_repr

        return short_repr(self)

    def __lazycfg_path__(self, *keys: Any) -> str:
        """Return the config path of the node, or of a key in it, as text."""
        from lazycfg.config.tree.chains import path_to

        return format_path((*path_to(self), *keys))

    def _repr_html_(self) -> str:
        from lazycfg.inspection.html_view import html_tree

        return html_tree(self)

    def __dir__(self) -> list[str]:
        return sorted({*map(str, raw_keys(self)), *object.__dir__(self)})

    def __reduce_ex__(self, protocol: Any) -> Any:
        from lazycfg.config.tree.position import FilePosition, position_of
        from lazycfg.config.tree.traversal import far_below, own_nodes

        origin = position_of(self)
        where = None if origin is None else FilePosition(str(origin.file), origin.line, origin.column)
        # What is far below comes first, so that pickle does not recurse through all levels in one go.
        return (Node, (), (*far_below(self), own_nodes(self), dict(raw_items(self)), where))

    def __setstate__(self, state: Any) -> None:
        from lazycfg.config.tree.position import set_position

        for node in state[-3]:  # whatever else holds them came to life before this one
            set_parent(node, None)
        raw_replace(self, state[-2])
        set_position(self, state[-1])


_RESERVED = frozenset(dir(Node))
_HOLDERS = frozenset((Node, list, tuple, dict))
_SLOTS: Any = {name: getattr(Node, name) for name in Node.__slots__}
_set_code, _get_code = _SLOTS["_lz_code"].__set__, _SLOTS["_lz_code"].__get__
_set_lasti, _get_lasti = _SLOTS["_lz_lasti"].__set__, _SLOTS["_lz_lasti"].__get__
_set_notes, _get_notes = _SLOTS["_lz_notes"].__set__, _SLOTS["_lz_notes"].__get__
_blank: Any = dict.__new__


# Making and changing a node without a word to the log of writes. A holder may be any dict; only a node is
# written to behind its own methods, as an `OrderedDict` would lose its order.


def raw_node(items: Any) -> Any:
    """Return a node of the items of a dict as they are stored; what is in it keeps its parents."""
    node = _blank(Node)
    dict.update(node, raw_items(items))
    set_parent(node, None)
    return node


def raw_set(holder: dict[Any, Any], key: Any, value: Any) -> None:
    """Do `holder[key] = value`, which is not logged."""
    if type(holder) is Node:
        refuse_frozen(holder)
        dict.__setitem__(holder, key, value)
        if type(value) not in LEAVES:
            adopt(value, holder)
    else:
        holder[key] = value


def raw_replace(node: Node, items: dict[Any, Any]) -> None:
    """Make `items` all that is in a node, which is not logged."""
    refuse_frozen(node)
    dict.clear(node)
    dict.update(node, items)
    for value in raw_values(node):
        if type(value) not in LEAVES:
            adopt(value, node)


def raw_pop(holder: dict[Any, Any], key: Any, *default: Any) -> Any:
    """Do `holder.pop(key, default)`, which is not logged."""
    if type(holder) is Node:
        refuse_frozen(holder)
        return dict.pop(holder, key, *default)
    return holder.pop(key, *default)


def is_frozen(node: Node) -> bool:
    """Return whether `freeze` was called for a node."""
    try:
        return "frozen" in _get_notes(node)
    except AttributeError:  # a slot that was never set
        return False


def refuse_frozen(node: Node) -> None:
    """Raise `ReadOnlyError` for a node that is frozen."""
    if is_frozen(node):
        path = node.__lazycfg_path__() or "the config"
        raise ReadOnlyError(f"{path} is frozen: change a copy of the config, cfg.copy()")


def is_call(value: Any) -> bool:
    """Return whether `value` is a node that records a call (it has a `_target_`)."""
    return type(value) is Node and raw_contains(value, "_target_")


def warn_reserved(names: list[str], depth: int) -> None:
    """Warn, in the name of the code `depth` frames above, about arguments that hide behind methods."""
    import sys
    import warnings

    if str(sys._getframe(depth).f_globals.get("__name__")).startswith("lazycfg_configs."):
        return  # a config file: whoever loads it can do nothing about the names that a function has
    shown = ", ".join(repr(n) for n in sorted(names))
    warnings.warn(
        f"argument {shown} is named like a method of dict: reach it as node[{sorted(names)[0]!r}], "
        "the attribute is still the method",
        stacklevel=depth + 1,
    )


def _given(node: Node, key: Any, value: Any) -> Any:
    """Return what reading the item `value` of a node gives. Raises `RequiredError` where it is missing."""
    value = _as_read(node, value)
    if is_required(value):
        raise RequiredError(key, node)
    return value


def _read(node: Node, key: Any, budget: Budget | None = None) -> Any:
    """Return what reading an item gives; for tools that go through all items, also one to be filled in."""
    value = raw_get(node, key)
    return value if type(value) in ATOMS else _as_read(node, value, budget)


def _as_read(node: Node, value: Any, budget: Budget | None = None) -> Any:
    kind = type(value)
    if kind is str:
        if "${" not in value:
            return value
        from lazycfg.config.tree.reading import resolve_read

        return resolve_read(node, value, budget)
    if kind is Node:
        if parent_of(value) is not node:
            adopt(value, node)
        return value
    inside = inner_values(value)
    if inside is None:
        return value
    if is_frozen(node):
        from lazycfg.config.tree.reading import read_holder

        return read_holder(value, node, budget)
    if not inside or ATOMS.issuperset(map(type, inside)):
        return value
    if kind is not list or not _is_settled(value, node):
        from lazycfg.config.tree.reading import read_holder

        adopt(value, node)
        return read_holder(value, node, budget)
    return value


def _is_settled(value: list[Any], node: Node) -> bool:
    """Return whether a list holds nothing but nodes, which are told that they stand in it where they are not
    yet: read in a loop it is cheap.
    """
    place = parent_of(value[0]) if type(value[0]) is Node else None
    if type(place) is not tuple or place[0] is not value or place[1] is not node:
        return False
    try:
        new = list(compress(value, map(is_not, map(parent_of, value), repeat(place))))
    except TypeError:  # an element that is no node
        return False
    if new:
        adopt_into(place, new, {})
    return True


def as_assigned(value: Any) -> Any:
    """Return what is stored when a value is assigned to an item of a node: a node for a dict, and a plain
    list or dict for what was read from a config.
    """
    kind = type(value)
    if kind is dict:
        return to_nodes(value)
    return value if kind in LEAVES or kind is Node else to_plain(value)


def _put(node: Node, key: Any, value: Any) -> None:
    """Set an item for the code that called the method of `node`, and remember it."""
    refuse_frozen(node)
    value = as_assigned(value)
    record_write(node, key, value, depth=3)
    raw_set(node, key, value)


def _drop(node: Node, key: Any) -> None:
    refuse_frozen(node)
    record_write(node, key, Write.DELETED, depth=3)
    raw_pop(node, key)


def _inherit(source: Node, copy: Node, *, parent: bool = True) -> None:
    """Give a copy the position, the log of writes and, if wanted, the parent of its original."""
    try:
        _set_code(copy, _get_code(source))
        _set_lasti(copy, _get_lasti(source))
    except AttributeError:  # a slot that was never set
        pass
    if parent:
        set_parent(copy, parent_of(source))
    try:
        writes = _get_notes(source).get("writes")
    except AttributeError:
        return
    if writes:
        _set_notes(copy, {"writes": list(writes)})


def to_nodes(value: Any) -> Any:
    """Return a tree whose dicts have become nodes, all the way down."""
    from lazycfg.config.tree.parents import to_nodes as convert

    return convert(value)
