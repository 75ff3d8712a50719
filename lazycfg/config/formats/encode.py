"""From a config tree to `Item` records, which the writers of Python, YAML and JSON print.

Here it is decided how each kind of value is kept, once for all formats; what cannot be kept is refused,
with the config path and the reason, all refusals at once.
"""

from __future__ import annotations

import copyreg
import enum
import functools
import re
import uuid
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from types import MethodType, ModuleType
from typing import Any

from lazycfg.config.errors import InterpolationError, with_article
from lazycfg.config.formats.class_changes import CaptureError
from lazycfg.config.formats.document import SaveError
from lazycfg.config.formats.items import Encoded, Item, Where
from lazycfg.config.formats.source_capture import capture, shared_state
from lazycfg.config.tree.chains import path_to
from lazycfg.config.tree.containers import ReadDict, ReadList, arguments_of_fields, field_names
from lazycfg.config.tree.interpolation import resolve
from lazycfg.config.tree.node import Node
from lazycfg.config.tree.paths import format_path, unlink
from lazycfg.config.tree.repr import short_repr
from lazycfg.config.tree.required import REQUIRED
from lazycfg.config.tree.targets import ImportName, config_file_of, find_name, is_deferred, target_name
from lazycfg.config.tree.traversal import plan, same_leaf, survey

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lazycfg.config.tree.chains import Chain
    from lazycfg.config.tree.paths import Link

_MAX_ELEMENTS = 10_000  # of an array or tensor: more belongs into a file of its own


def encode(root: Any) -> Item:
    """Return the `Item` of a whole config.

    Raises:
        SaveError: something in it cannot be kept.
        CycleError: the config contains itself.
    """
    encoder = Encoder()
    item = encoder.tree(root, Where())
    if encoder.problems:
        raise SaveError(encoder.problems)
    if not isinstance(item, Item):
        raise SaveError([f"a config is a node, dict or list, not {type(root).__name__}"])
    return item


def refuse_other_places(root: Any) -> None:
    """Refuse shared nodes that mean something only where they were put first, and stand elsewhere before it:
    a config that is loaded takes the first place in the file for it.

    Raises:
        SaveError: a `${...}` in such a node would lead nowhere.
    """
    problems: list[str] = []

    def look(text: str, chain: Chain, way: Chain | None, link: Link) -> tuple[Any, Chain]:
        if way is not None and _means_something(text, chain) and not _means_something(text, way):
            first = format_path(path_to(chain[0])) or "the root"
            problems.append(
                f"config path {format_path(unlink(link))!r}: {text!r} leads somewhere from {first}, where "
                "this node was put first, but not from here, which comes first in a file: put a .copy() of "
                "the node in one of the places"
            )
        return text, chain

    survey(root, None, look)
    if problems:
        raise SaveError(problems)


def _means_something(text: str, chain: Chain) -> bool:
    try:
        resolve(text, chain)
    except InterpolationError:
        return False
    return True


def encode_for_log(root: Any) -> tuple[Item, list[str]]:
    """Return the `Item` of a config for people to read, and what of it cannot be kept."""
    encoder = Encoder(for_log=True)
    item = encoder.tree(root, Where())
    return (item if isinstance(item, Item) else Item("unkept", repr(root))), encoder.problems


class Encoder:
    """One run over a tree and over what its functions refer to; ``problems`` collects the refusals.

    With ``for_log`` a value that cannot be kept becomes an item "unkept"; so does what has only its source.
    """

    def __init__(self, *, for_log: bool = False) -> None:
        self.for_log = for_log
        self.problems: list[str] = []
        self._made: dict[int, Encoded] = {}
        self._keep: list[Any] = []
        self._state: dict[int, Any] = {}  # by id of what functions may change: the first of them

    def tree(self, root: Any, path: Where) -> Encoded:
        """Encode a value and all below it."""
        for value, _, link in plan(root):
            if id(value) not in self._made:
                self._remember(value, self._container(value, Where(path, link)))
        return self.child(root, path)

    def child(self, value: Any, path: Where) -> Encoded:
        """Encode a value whose containers are encoded already."""
        kind = type(value)
        if kind is str and self.for_log and not value.isprintable():
            return str(value).encode("utf-8", "backslashreplace").decode()
        if value is None or kind in (bool, int, float, str):
            return value  # type: ignore[no-any-return]
        if id(value) in self._made:
            return self._made[id(value)]
        encoded = self._leaf(value, path)
        self._remember(value, encoded)
        return encoded

    def _remember(self, value: Any, encoded: Encoded) -> None:
        self._keep.append(value)
        self._made[id(value)] = encoded
        if isinstance(encoded, Item):
            encoded.obj = value

    def _refuse(self, where_from: Where, value: Any, reason: str) -> Encoded:
        """Note why a value cannot be kept, and return what is in its place."""
        path = str(where_from)
        where = f"config path {path!r}" if path else "the config"
        shown = short_repr(value)
        shown = shown if len(shown) <= 120 else f"{shown[:120]}..."
        self.problems.append(f"{where}: {shown}: {reason}")
        return Item("unkept", f"{shown}: {reason}", where_from) if self.for_log else None

    # ---------------------------------------------------------------- containers

    def _container(self, value: Any, path: Where) -> Encoded:
        kind = type(value)
        if kind is Node or kind is dict or kind is ReadDict:
            odd = [key for key in dict.keys(value) if type(key) is not str]
            is_call = dict.__contains__(value, "_target_")
            args = dict.get(value, "_args_", ())
            if is_call and odd:
                return self._refuse(path, value, f"{short_repr(odd[0])} is no name of an argument")
            if is_call and type(args) not in (list, tuple, ReadList):
                return self._refuse(path, value, f"'_args_' is a list, not {short_repr(args)}")
            if odd:
                return self._pairs(value, path)
            name = "call" if is_call else "dict"
            parts = ((key, self.child(v, path.below(key))) for key, v in dict.items(value))
            return Item(name, None, path, parts)
        if kind is list or kind is tuple or kind is ReadList:
            elements = ((index, self.child(v, path.below(index))) for index, v in enumerate(value))
            return Item("tuple" if kind is tuple else "list", None, path, elements)
        if isinstance(value, dict):
            return self._dict_subclass(value, path)
        if isinstance(value, tuple):
            names: tuple[str, ...] = getattr(kind, "_fields", ())
            fields = [(n, self.child(v, path.below(n))) for n, v in zip(names, value, strict=True)]
            return Item("object", self.child(kind, path), path, fields)
        return self._dataclass(value, path)

    def _pairs(self, value: dict[Any, Any], path: Where) -> Item:
        # What is in a key was not passed on the way through the tree.
        pairs = ((self.tree(k, path), self.child(v, path.below(k))) for k, v in dict.items(value))
        return Item("pairs", None, path, pairs)

    def _dict_subclass(self, value: dict[Any, Any], path: Where) -> Encoded:
        kind = type(value)
        parts: list[tuple[None, Encoded]] = [(None, self._pairs(value, path))]
        if isinstance(value, defaultdict) and kind is defaultdict:
            parts.insert(0, (None, self.child(value.default_factory, path)))
        elif kind is not OrderedDict and kind is not Counter:
            reason = f"cannot save {with_article(kind.__qualname__)}, a subclass of dict"
            return self._refuse(path, value, reason)
        return Item("construct", self.child(kind, path), path, parts)

    def _dataclass(self, value: Any, path: Where) -> Encoded:
        import dataclasses

        kind = type(value)
        names = None if isinstance(value, type) else field_names(kind)
        if names is None:
            return self._refuse(path, value, f"cannot save {with_article(kind.__qualname__)}")
        arguments = arguments_of_fields(kind)
        try:
            again: Any
            if hasattr(kind, "__dataclass_fields__"):
                again = dataclasses.replace(value)
            else:
                again = kind(**{argument: getattr(value, name) for name, argument in arguments.items()})
            same = all(same_leaf(getattr(value, name), getattr(again, name)) for name in names)
            same = same and _same_rest(value, again, names)
        except Exception as error:
            return self._refuse(path, value, f"its class cannot make it again from its fields ({error})")
        if not same:
            return self._refuse(path, value, "its class makes another object from the same fields")
        parts = [(arg, self.child(getattr(value, name), path.below(name))) for name, arg in arguments.items()]
        return Item("object", self.child(kind, path), path, parts)

    # ---------------------------------------------------------------- leaves

    def _leaf(self, value: Any, path: Where) -> Encoded:
        kind = type(value)
        if value is REQUIRED:
            return Item("required", value, path)
        if value is ...:
            return Item("ellipsis", value, path)
        if kind is bytes or kind is complex:
            return Item(kind.__name__, value, path)
        if isinstance(value, enum.Enum):
            return self._enum_member(value, path)
        if kind is set or kind is frozenset:
            elements = ((None, self.tree(element, path)) for element in sorted(value, key=_set_order))
            return Item(kind.__name__, None, path, elements)
        if isinstance(value, PurePath):
            return Item("path", value, path)
        if isinstance(value, functools.partial) and kind is functools.partial:
            return self._call_item("partial", value.func, value.args, value.keywords, path)
        if is_deferred(value):  # by the file itself, loaded without importing
            call = kind.__lazycfg_call__(value)
            if call is not None:
                target, args, kwargs = call
                return self._call_item("construct", target, args, kwargs, path)
            return Item("name", ImportName(*kind.__lazycfg_name__(value)), path)
        if isinstance(value, type | ModuleType) or callable(value):
            return self._named(value, path)
        return self._by_parts(value, path)

    def _enum_member(self, value: enum.Enum, path: Where) -> Encoded:
        owner = self.child(type(value), path)
        if value.name is not None and type(value).__members__.get(value.name) is value:
            return Item("member", owner, path, [(None, value.name)])
        return Item("construct", owner, path, [(None, self.child(value.value, path))])  # of flags

    def _named(self, value: Any, path: Where) -> Encoded:
        """Return a module, class, function or method: by its name, else by its source."""
        name = find_name(value)
        if name is not None:
            return Item("name", name, path)
        if isinstance(value, ModuleType):
            return self._refuse(path, value, "a module that cannot be imported")
        if isinstance(value, MethodType):
            return Item("attribute", self.tree(value.__self__, path), path, [(None, value.__func__.__name__)])
        if self.for_log:
            return self._refuse(path, value, "it has no name that could be imported")
        try:
            captured = capture(value)
        except CaptureError as error:
            if (
                not isinstance(value, type)
                and not hasattr(value, "__code__")
                and not hasattr(value, "__wrapped__")
            ):
                return self._by_parts(value, path)
            return self._refuse(path, value, str(error))
        for variable, state in shared_state(value):
            other = self._state.setdefault(state, value)
            if other is not value:
                both = f"{target_name(other)!r} and {target_name(value)!r}"
                self._refuse(path, value, f"{both} work on one {variable!r}, which would become two")
        item = Item("source", captured, path)
        self._remember(value, item)
        references = {**captured.eager, **captured.lazy, **captured.cells}
        item.parts = [
            (n, self.tree(v, Where(f"{path} ({target_name(value)} uses {n!r})")))
            for n, v in references.items()
        ]
        return item

    def _by_parts(self, value: Any, path: Where) -> Encoded:
        """Return any other object: as the call that makes an equal one, when there is such a call."""
        kind = type(value)
        origin = kind.__module__.partition(".")[0]
        made: ImportName | _Made | None = _array(value) if origin in ("numpy", "torch") else None
        if made is None:
            made = _by_reduce(value)
        if made is None:
            hint = "write it as a call, L(Class)(...), or give it to the function that needs it"
            if str(path).isidentifier():
                hint += f"; if it is not config, name it '_{path}'"
            name = (
                kind.__qualname__
                if config_file_of(kind.__module__)
                else f"{kind.__module__}.{kind.__qualname__}"
            )
            return self._refuse(path, value, f"cannot save {with_article(name)}; {hint}")
        if isinstance(made, ImportName):
            return Item("name", made, path)
        return self._call_item("construct", *made, path)

    def _call_item(
        self, kind: str, function: Any, args: Sequence[Any], kwargs: dict[str, Any], path: Where
    ) -> Item:
        parts: list[tuple[str | None, Encoded]] = [(None, self.tree(argument, path)) for argument in args]
        parts += [(key, self.tree(argument, path.below(key))) for key, argument in kwargs.items()]
        return Item(kind, self.tree(function, path), path, parts)


_Made = tuple[Any, tuple[Any, ...], dict[str, Any]]


def _by_reduce(value: Any) -> ImportName | _Made | None:
    """Return how pickle would make the object, if that is one call without state that gives an equal one."""
    kind = type(value)
    if kind in (slice, range):
        return kind, (value.start, value.stop, value.step), {}
    if kind is deque:
        return deque, (list(value),), {} if value.maxlen is None else {"maxlen": value.maxlen}
    if kind is bytearray:
        return bytearray, (bytes(value),), {}
    if kind is re.Pattern:
        return re.compile, (value.pattern, value.flags), {}
    if kind is uuid.UUID:
        return uuid.UUID, (str(value),), {}
    try:
        reduced = value.__reduce_ex__(2)
    except Exception:  # whatever somebody's __reduce__ raises: it cannot be taken apart
        return None
    if isinstance(reduced, str):
        import sys

        module = kind.__module__
        found = getattr(sys.modules.get(module), reduced, None)
        return ImportName(module, reduced) if found is value else None
    function, args, *rest = reduced
    if any(part is not None for part in rest) or not isinstance(args, tuple):
        return None
    if function is copyreg.__newobj__:  # type: ignore[attr-defined]
        function, args = args[0], args[1:]
    if function is copyreg._reconstructor:  # type: ignore[attr-defined]
        return None
    if not isinstance(function, type) and find_name(function) is None:  # a class may be kept as source
        return None
    try:
        again = function(*args)
        equal = type(again) is kind and again == value
    except Exception:  # as above
        return None
    return (function, args, {}) if equal is True else None


def _array(value: Any) -> _Made | None:
    """Return arrays, tensors and scalars of numpy and torch with their elements written out."""
    import sys

    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None:
        if isinstance(value, numpy.dtype) and value.names is None and numpy.dtype(value.str) == value:
            return numpy.dtype, (value.str,), {}
        if isinstance(value, numpy.generic) and value.dtype.kind in "biufc":
            return type(value), (value.item(),), {}
        if type(value) is numpy.ndarray and value.dtype.kind in "biufcU" and value.size <= _MAX_ELEMENTS:
            if value.size == 0 and value.shape != (0,):
                return numpy.empty, (value.shape,), {"dtype": value.dtype.str}
            return numpy.array, (value.tolist(),), {"dtype": value.dtype.str}
    if torch is not None and type(value) is torch.Tensor:
        plain = value.layout is torch.strided and value.device.type == "cpu" and not value.requires_grad
        if plain and 0 < value.numel() <= _MAX_ELEMENTS and not value.is_quantized:
            return torch.tensor, (value.tolist(),), {"dtype": value.dtype}
    return None


def _set_order(value: Any) -> tuple[str, str]:
    """Return a stable order for the elements of a set: those of strings change from process to process."""
    return type(value).__qualname__, repr(value)


def _same_rest(value: Any, again: Any, names: Iterable[str]) -> bool:
    """Return whether two objects agree in what their class keeps beside the fields: in plain values, as
    others need not be equal when they are made again.
    """
    old, new = getattr(value, "__dict__", {}), getattr(again, "__dict__", {})
    if old.keys() != new.keys():
        return False
    fields = set(names)
    plain = [key for key, part in old.items() if key not in fields and type(part) in _PLAIN_PARTS]
    return all(repr(old[key]) == repr(new[key]) for key in plain)


_PLAIN_PARTS = (str, int, float, bool, complex, bytes, type(None))
