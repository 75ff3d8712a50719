"""From parsed YAML or JSON to a config: `decode`, under a trust policy.

A parser gives nodes, lists and scalars in which special values are still `Tagged`; `MAKERS` says what becomes
of each tag. All names that the policy refuses are reported together, before anything is imported outside the
allowed packages, and nothing but a fixed set of plain values is ever constructed.
"""

from __future__ import annotations

import base64
import enum
import functools
import pathlib
from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from types import ModuleType
from typing import Any

from lazycfg.config.errors import ConfigError, CycleError, with_article
from lazycfg.config.formats.document import (
    CONFIG_KEY,
    LINKS_KEY,
    SHARED_KEY,
    SOURCE_KEY,
    DataFileError,
    Tagged,
    as_list,
    as_node,
    as_text,
)
from lazycfg.config.formats.file_positions import DataPosition
from lazycfg.config.formats.judging import Judge, call_text
from lazycfg.config.isolation.session import run_source
from lazycfg.config.plain_values import (
    LARGEST_HASHED,
    MOST_LARGE,
    is_value_maker,
    make_value,
    refuse_colliding,
)
from lazycfg.config.tree.containers import field_names
from lazycfg.config.tree.node import Node, raw_contains, raw_get, raw_items, raw_pop, raw_set
from lazycfg.config.tree.position import position_of
from lazycfg.config.tree.repr import short_repr
from lazycfg.config.tree.required import REQUIRED
from lazycfg.config.trust import Policy, UntrustedError

# Anchors can double a list at every line, and whatever goes through it would go through all of it: what lists
# hold, shared ones counted as often as they are met, may be this much more than what is in the file.
_MOST_UNFOLDED = 10_000
_DEEPEST_VALUE = 100  # of tuples and sets in each other: Python compares and hashes these by recursion
_PATHS: dict[str, type[pathlib.PurePath]] = {
    "Path": pathlib.Path,
    "PurePath": pathlib.PurePath,
    "PurePosixPath": pathlib.PurePosixPath,
    "PureWindowsPath": pathlib.PureWindowsPath,
}


def decode(
    parsed: Any, file: str, policy: Policy, *, may_run: bool, decoder: Callable[..., Decoder] | None = None
) -> Any:
    """Make the config of what a parser returned.

    Args:
        parsed: nodes, lists, scalars and `Tagged` values.
        file: the file, for messages.
        policy: what its names may stand for.
        may_run: whether source code in the file may run.
        decoder: what makes the objects, `Decoder` by default.

    Raises:
        DataFileError: the file is not well-formed.
        UntrustedError: it has what the policy does not allow.
        CycleError: the config contains itself.
    """
    source = links = shared = None
    if isinstance(parsed, Node):
        source = raw_pop(parsed, SOURCE_KEY, None)
        shared = raw_pop(parsed, SHARED_KEY, None)
        links = raw_pop(parsed, LINKS_KEY, None) if source is not None else None
        if raw_contains(parsed, CONFIG_KEY):
            beside = [key for key in dict.keys(parsed) if key != CONFIG_KEY]
            if beside:
                shown = short_repr(beside[0])
                raise DataFileError(
                    f"{file}: {CONFIG_KEY!r} is the whole config, {shown} cannot stand beside it"
                )
            parsed = raw_get(parsed, CONFIG_KEY)
    if source is not None and not may_run:
        raise UntrustedError(
            [f"{file} brings source code of functions or classes ({SOURCE_KEY!r}), which loading would run"],
            "if you trust the file as you trust code, load it with trusted=True",
            is_code=True,
        )
    if source is not None and not isinstance(source, str):
        raise DataFileError(f"{file}: {SOURCE_KEY!r} is not text")
    module = None if source is None else run_source(source, file)
    config, _, linked = (decoder or Decoder)(file, policy, module).run([parsed, shared, links])
    if not isinstance(config, Node | list):
        raise DataFileError(
            f"{file}: a config is a mapping or a list, not {with_article(type(config).__name__)}"
        )
    if module is not None and isinstance(linked, Node):
        vars(module).update(raw_items(linked))  # the parts of the config that functions refer to
    return config


class Decoder:
    """Turns `Tagged` values into objects, children before parents, the same value into the same object."""

    makers: Mapping[str, Maker]  # what becomes of each tag; `MAKERS` below

    def __init__(self, file: str, policy: Policy, source: ModuleType | None) -> None:
        self.file = file
        self.policy = policy
        self.source = source
        self._judge = Judge(policy, self.resolve)
        self._unfolded: dict[int, int] = {}  # by id of a list or made object: its `_size`
        self._depth: dict[int, int] = {}  # by id of a special value, or a list: how many are in each other
        self._most = _MOST_UNFOLDED
        self._made: dict[int, Any] = {}
        self._keep: list[Any] = []

    def resolve(self, text: str) -> Any:
        """Return what a name stands for."""
        return self.policy.resolve(text)

    def judge(self, config: Any) -> None:
        """Collect what the policy does not allow in the finished config."""
        self._judge.judge(config)

    def run(self, root: Any) -> Any:
        """Return the finished root.

        Raises:
            UntrustedError: the policy refuses something; all of it is listed.
        """
        order = self._post_order(root)
        self._count(order)
        for value in order:
            self._made[id(value)] = self._finish(value)
        result = self._get(root)
        self.judge(result)
        if self._judge.refused:
            refused = sorted(dict.fromkeys(self._judge.refused), key=itemgetter(0))
            raise UntrustedError(
                [f"{self.file}:{line or '?'}: {reason}" for line, reason in refused],
                'list what the file may name (allow=(*DEFAULT_ALLOW, "package.Class")), or load it with '
                "trusted=True if you trust it as you trust code",
            )
        return result

    def _count(self, order: list[Any]) -> None:
        """Set how much lists may unfold to; refuse so many large integers that a set of them could take the
        square of their number.
        """
        values = large = 0
        for holder in order:
            for child in _children_of(holder):
                values += 1
                large += type(child) is int and abs(child) >= LARGEST_HASHED
        self._most = _MOST_UNFOLDED + 2 * values
        if large > MOST_LARGE:
            raise DataFileError(f"{self.file}: more than {MOST_LARGE:,} integers of more than 18 digits")

    def _get(self, value: Any) -> Any:
        return self._made.get(id(value), value) if isinstance(value, Node | list | Tagged) else value

    def _post_order(self, root: Any) -> list[Any]:
        order: list[Any] = []
        state: dict[int, int] = {}
        stack: list[tuple[Any, bool]] = [(root, False)]
        while stack:
            value, left = stack.pop()
            if left:
                state[id(value)] = 2
                order.append(value)
                continue
            if not isinstance(value, Node | list | Tagged):
                continue
            known = state.get(id(value))
            if known == 1:
                raise CycleError(f"{self.file}: a config cannot contain itself")
            if known is None:
                state[id(value)] = 1
                stack.append((value, True))
                stack.extend((child, False) for child in _children_of(value))
        self._keep += order
        return order

    def _finish(self, value: Any) -> Any:
        if type(value) is Node:
            return self.finish_node(value)
        inner = max((self._depth.get(id(child), 0) for child in _children_of(value)), default=0)
        self._depth[id(value)] = depth = inner + (type(value) is Tagged)
        if type(value) is list:
            value[:] = [self._get(child) for child in value]
            self._unfolded[id(value)] = size = self._size(value)
            if size > self._most:
                raise DataFileError(f"{self.file}: a list that unfolded has more than {self._most:,} values")
            return value
        payload = self._get(value.value)
        size = self._size(payload)
        if size > self._most:
            raise self._error(value, f"unfolded it has more than {self._most:,} values")
        if depth > _DEEPEST_VALUE:
            raise self._error(value, f"more than {_DEEPEST_VALUE} special values in each other")
        maker = self.makers.get(value.tag)
        if maker is None:
            raise self._error(value, "unknown tag")
        try:
            made = maker(self, payload)
            if size > 1:
                self._unfolded[id(made)] = size
            return made
        except UntrustedError as error:
            self._judge.refuse(value, *error.refused)
            return None
        except Exception as error:  # whatever the constructor of a value raises
            if self._judge.refused:
                return None  # it may lack what was refused
            ours = isinstance(error, ConfigError | ImportError)
            raise self._error(value, str(error) if ours else f"{type(error).__name__}: {error}") from error

    def finish_node(self, node: Node) -> Node:
        """Put the finished values into a node of the file. Raises DataFileError."""
        for key, child in raw_items(node):
            raw_set(node, key, self._get(child))
        if not (raw_contains(node, "_target_") and raw_contains(node, "_args_")):
            return node
        args = raw_get(node, "_args_")
        if type(args) is list:
            raw_set(node, "_args_", tuple(args))
        elif type(args) is not tuple:
            place = position_of(node)
            line = place.line_of("_args_") if isinstance(place, DataPosition) else "?"
            raise DataFileError(f"{self.file}:{line}: '_args_' is a list, not {short_repr(args)}")
        return node

    def _size(self, value: Any) -> int:
        """Return how many values a finished list or payload has, shared ones as often as they are met. What
        nodes hold does not count: they have no hash.
        """
        inside = dict.values(value) if type(value) is Node else value if type(value) is list else [value]
        return sum(1 + self._unfolded.get(id(child), 0) for child in inside)

    def _error(self, value: Tagged, message: str) -> DataFileError:
        line = value.place.line
        return DataFileError(f"{self.file}{'' if line is None else f':{line}'}: !{value.tag}: {message}")


def _children_of(value: Any) -> Iterable[Any]:
    if type(value) is Node:
        return list(dict.values(value))
    if type(value) is list:
        return list(value)
    return [value.value]


# ---------------------------------------------------------------- what becomes of each tag

Maker = Callable[[Decoder, Any], Any]


def _make_name(decoder: Decoder, payload: Any) -> Any:
    if payload == "builtins.getattr":
        return getattr  # `Judge` looks at its arguments; anywhere else it is refused
    return decoder.resolve(as_text(payload))


def _make_source(decoder: Decoder, payload: Any) -> Any:
    if decoder.source is None:
        raise ConfigError(f"the file has no {SOURCE_KEY!r} that could define {payload!r}")
    return vars(decoder.source)[as_text(payload)]


def _make_dict(decoder: Decoder, payload: Any) -> Node:
    pairs = [as_list(pair) for pair in as_list(payload)]
    _hashed([pair[0] for pair in pairs])
    result = Node((key, value) for key, value in pairs)
    if raw_contains(result, "_target_"):
        raise ConfigError("a call is written as a mapping, not as !dict")
    return result


def _make_complex(decoder: Decoder, payload: Any) -> complex:
    real, imaginary = as_list(payload)
    return complex(float(real), float(imaginary))


def _make_path(decoder: Decoder, payload: Any) -> Any:
    name, text = as_list(payload) if isinstance(payload, list) else ("Path", payload)
    if name not in _PATHS:
        raise ConfigError(f"{name!r} is not a class of paths; use {', '.join(_PATHS)}")
    return _PATHS[name](text)


def _make_object(decoder: Decoder, payload: Any) -> Any:
    fields = dict(raw_items(as_node(payload)))
    cls = fields.pop("_class_", None)
    is_named_tuple = isinstance(cls, type) and issubclass(cls, tuple) and hasattr(cls, "_fields")
    if not is_named_tuple and not (isinstance(cls, type) and field_names(cls) is not None):
        raise ConfigError(f"{cls!r} is neither a dataclass nor a named tuple")
    return cls(**fields)


def _make_member(decoder: Decoder, payload: Any) -> Any:
    cls, name = as_list(payload)
    if not (isinstance(cls, type) and issubclass(cls, enum.Enum)):
        raise ConfigError(f"{cls!r} is not an enum")
    return cls.__members__[name]


def _make_partial(decoder: Decoder, payload: Any) -> Any:
    function, args, keywords = as_list(payload)
    if not callable(function):
        raise ConfigError(f"{function!r} cannot be called")
    return functools.partial(function, *as_list(args), **dict(raw_items(as_node(keywords))))


def _make_construct(decoder: Decoder, payload: Any) -> Any:
    function, args, keywords = as_list(payload)
    given = dict(raw_items(as_node(keywords)))
    # containers of the data formats are nodes; constructors of values take plain dicts
    plain = [dict(raw_items(a)) if type(a) is Node else a for a in as_list(args)]
    if decoder.policy.everything:
        return function(*plain, **given)
    if not is_value_maker(function):
        raise UntrustedError([f"{call_text(function)} is not among the constructors of plain values"])
    return make_value(function, plain, given)


def _make_python_object(decoder: Decoder, payload: Any) -> Any:
    """Make ``!!python/object:`` of the class and the attributes that `yaml.dump` wrote."""
    cls, fields = as_list(payload)
    return decoder.makers["object"](decoder, Node({"_class_": cls, **dict(raw_items(as_node(fields)))}))


def _make_python_call(decoder: Decoder, payload: Any) -> Any:
    """Make ``!!python/object/apply:`` and ``!!python/object/new:`` of the callable and its arguments."""
    function, given = as_list(payload)
    parts = dict(raw_items(given)) if type(given) is Node else {"args": given}
    args, keywords = parts.pop("args", []), parts.pop("kwds", Node())
    if parts:
        raise ConfigError(f"{', '.join(map(str, parts))} of an object cannot be restored")
    if isinstance(function, type) and (field_names(function) is not None or hasattr(function, "_fields")):
        names = getattr(function, "_fields", None) or field_names(function) or ()
        named = dict(zip(names, as_list(args), strict=False))
        return decoder.makers["object"](
            decoder, Node({"_class_": function, **named, **dict(raw_items(as_node(keywords)))})
        )
    return decoder.makers["construct"](decoder, [function, args, keywords])


def _make_attribute(decoder: Decoder, payload: Any) -> Any:
    owner, name = as_list(payload)
    if not decoder.policy.everything:
        raise UntrustedError([f"the attribute {name!r} of {owner!r}"])
    return getattr(owner, name)


def _hashed(keys: list[Any]) -> list[Any]:
    reason = refuse_colliding(keys)
    if reason is not None:
        raise ConfigError(reason)
    return keys


def _make_unkept(decoder: Decoder, payload: Any) -> Any:
    raise ConfigError(f"the file was written for reading, without a value that could not be kept: {payload}")


MAKERS: dict[str, Maker] = {
    "attribute": _make_attribute,
    "bytes": lambda decoder, payload: base64.b64decode(as_text(payload), validate=True),
    "complex": _make_complex,
    "construct": _make_construct,
    "dict": _make_dict,
    "ellipsis": lambda decoder, payload: ...,
    "float": lambda decoder, payload: float(payload),
    "frozenset": lambda decoder, payload: frozenset(_hashed(as_list(payload))),
    "member": _make_member,
    "name": _make_name,
    "object": _make_object,
    "partial": _make_partial,
    "path": _make_path,
    "python_call": _make_python_call,
    "python_object": _make_python_object,
    "required": lambda decoder, payload: REQUIRED,
    "set": lambda decoder, payload: set(_hashed(as_list(payload))),
    "source": _make_source,
    "tuple": lambda decoder, payload: tuple(as_list(payload)),
    "unkept": _make_unkept,
}
"""Makes the value of each tag of what follows it. A tag that is not here is an error."""

Decoder.makers = MAKERS
