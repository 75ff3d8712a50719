"""Reading the data formats: what YAML and JSON have in common.

A parser gives nodes, lists and scalars in which special values are still `Tagged`; `decode` turns these
into objects under a trust policy. All names that the policy refuses are reported together, before anything
is imported outside the allowed packages, and nothing but a fixed set of plain values is ever constructed.
"""

from __future__ import annotations

import base64
import enum
import functools
import os
import pathlib
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from lazycfg.config.errors import ConfigError, CycleError, with_article
from lazycfg.config.formats.file_positions import JsonMapping, MappingPosition
from lazycfg.config.formats.suffixes import format_of
from lazycfg.config.formats.value_makers import (
    LARGEST_HASHED,
    MOST_LARGE,
    is_value_maker,
    make_value,
    maker_name,
    refuse_colliding,
    takes_literals_only,
    why_costly,
)
from lazycfg.config.isolation.session import run_source
from lazycfg.config.signatures.callables import is_deferred
from lazycfg.config.tree.containers import field_names
from lazycfg.config.tree.node import (
    REQUIRED,
    Node,
    is_call,
    raw_contains,
    raw_get,
    raw_items,
    raw_pop,
    raw_set,
)
from lazycfg.config.tree.position import FilePosition, position_of
from lazycfg.config.tree.repr import short_repr, target_name
from lazycfg.config.trust import TRUST_ALL, Policy, UntrustedError

__all__ = [
    "CONFIG_KEY",
    "LINKS_KEY",
    "SHARED_KEY",
    "SOURCE_KEY",
    "DataFileError",
    "Decoder",
    "Tagged",
    "decode",
    "policy_for",
    "read_data_file",
]

SOURCE_KEY, SHARED_KEY, CONFIG_KEY, LINKS_KEY = "_source_", "_shared_", "_config_", "_links_"
# Anchors can double a list at every line, and whatever goes through it would go through all of it: what lists
# hold, shared ones counted as often as they are met, may be this much more than what stands in the file.
_MOST_UNFOLDED = 10_000
_LONGEST_REASON = 400
_DEEPEST_VALUE = 100  # of tuples and sets in each other: Python compares and hashes these by recursion


class DataFileError(ConfigError, ValueError):
    """A data file that is not well-formed; the message names the file and the line."""


class Tagged:
    """A value with a tag (``!tuple``), not yet made; ``place`` is where it stands in the file."""

    __slots__ = ("place", "tag", "value")

    def __init__(self, tag: str, value: Any, place: FilePosition):
        self.tag = tag
        self.value = value
        self.place = place


def read_data_file(
    file: str | os.PathLike[str],
    *,
    policy: Policy | None = None,
    trusted: bool = False,
    decoder: type[Decoder] | None = None,
) -> Any:
    """Read a ``.yaml`` or ``.json`` file.

    Args:
        file: its path.
        policy: what its names may stand for; by default `trust.DEFAULT_ALLOW`.
        trusted: allow everything, source code of functions and classes included.
        decoder: what makes objects of special values; by default they are made as they were saved.

    Raises:
        DataFileError: the file is not well-formed.
        UntrustedError: it names what the policy does not allow.
    """
    path = os.fspath(file)
    data = Path(path).read_bytes()
    allowed = policy_for(policy, trusted)
    if format_of(path) == "json":
        from lazycfg.config.formats.json_io import parse_json

        parsed = parse_json(data, path)
    else:
        from lazycfg.config.formats.yaml_io import parse_yaml

        parsed = parse_yaml(data, path)
    return decode(parsed, path, allowed, may_run=trusted, decoder=decoder)


def policy_for(policy: Policy | None, trusted: bool) -> Policy:
    """What the names of a data file may stand for: see `read_data_file`."""
    if trusted:
        return TRUST_ALL
    return Policy(None) if policy is None else policy


def decode(
    parsed: Any, file: str, policy: Policy, *, may_run: bool, decoder: type[Decoder] | None = None
) -> Any:
    """Make the config of what a parser returned."""
    source = links = shared = None
    if isinstance(parsed, Node):
        source = raw_pop(parsed, SOURCE_KEY, None)
        shared = raw_pop(parsed, SHARED_KEY, None)
        links = raw_pop(parsed, LINKS_KEY, None) if source is not None else None
        if raw_contains(parsed, CONFIG_KEY):
            parsed = raw_get(parsed, CONFIG_KEY)
    if source is not None and not may_run:
        raise UntrustedError(
            [f"{file} brings source code of functions or classes ({SOURCE_KEY!r}), which loading would run"],
            "if you trust the file as you trust code, load it with trusted=True",
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

    def __init__(self, file: str, policy: Policy, source: ModuleType | None) -> None:
        self.file = file
        self.policy = policy
        self.source = source
        self.refused: list[str] = []
        self._unfolded: dict[int, int] = {}  # by id of a list or made object: its `_size`
        self._depth: dict[int, int] = {}  # by id of a special value, or a list: how many are in each other
        self._most = _MOST_UNFOLDED
        self._made: dict[int, Any] = {}
        self._keep: list[Any] = []

    def run(self, root: Any) -> Any:
        order = self._post_order(root)
        self._count(order)
        for value in order:
            self._made[id(value)] = self._finish(value)
        result = self._get(root)
        self._judge(result)
        if self.refused:
            raise UntrustedError(
                [f"{self.file}:{text}" for text in sorted(dict.fromkeys(self.refused), key=_line_in)],
                'list what the file may name (allow=(*DEFAULT_ALLOW, "package.Class")), or load it with '
                "trusted=True if you trust it as you trust code",
            )
        return result

    def _count(self, order: list[Any]) -> None:
        """Set how much lists may unfold to; refuse integers of which a set could take the square of their
        number."""
        values = large = 0
        for holder in order:
            for child in _children_of(holder):
                values += 1
                large += type(child) is int and abs(child) >= LARGEST_HASHED
        self._most = _MOST_UNFOLDED + 2 * values
        if large > MOST_LARGE:
            raise DataFileError(f"{self.file}: more than {MOST_LARGE:,} integers of more than 18 digits")

    def _judge(self, result: Any) -> None:
        """Refuse what the finished config holds and the policy does not allow."""
        nodes, values = _nodes_and_values(result)
        for node in nodes:
            self._check_node(node)
        if type(result) is not Node:
            self._check_texts(result)
        if not self.policy.everything:
            for value, holder, key in values:
                reason = self._why_no_value(value)
                if reason is not None:
                    self._refuse(holder, reason, key=key)

    def _why_no_value(self, value: Any) -> str | None:
        """Why something may not stand in the config, unless as the target of a call; None when it may."""
        if isinstance(value, dict):
            return (
                "a mapping with '_target_' that is no call" if dict.__contains__(value, "_target_") else None
            )
        if value is getattr:
            return "'builtins.getattr', which only makes an attribute of what another node builds"
        if not callable(value) or isinstance(value, functools.partial) or is_deferred(value):
            return None
        reason = self.policy.why_refused(value)
        if reason is None and takes_literals_only(value):
            reason = f"{maker_name(value)!r} as a value: it may only be called, with plain values"
        return reason

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
            for key, child in raw_items(value):
                raw_set(value, key, self._get(child))
            args = raw_get(value, "_args_")
            if type(args) is list:
                raw_set(value, "_args_", tuple(args))
            elif (
                raw_contains(value, "_args_") and type(args) is not tuple and raw_contains(value, "_target_")
            ):
                place = position_of(value)
                line = place.line_of("_args_") if isinstance(place, MappingPosition | JsonMapping) else "?"
                raise DataFileError(f"{self.file}:{line}: '_args_' is a list, not {short_repr(args)}")
            return value
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
            raise self._error(value, f"more than {_DEEPEST_VALUE} special values stand in each other")
        maker: Callable[[Tagged, Any], Any] | None = getattr(self, f"_make_{value.tag}", None)
        if maker is None:
            raise self._error(value, f"the tag '!{value.tag}' is not known")
        try:
            made = maker(value, payload)
            if size > 1:
                self._unfolded[id(made)] = size
            return made
        except UntrustedError as error:
            self._refuse(value, *error.refused)
            return None
        except (ConfigError, ImportError) as error:
            if self.refused:
                return None  # it may lack what was refused
            raise self._error(value, str(error)) from error
        except Exception as error:  # whatever the constructor of a value raises
            if self.refused:
                return None
            raise self._error(value, f"{type(error).__name__}: {error}") from error

    def _size(self, value: Any) -> int:
        """How many values a finished list or payload has, those that are shared as often as they are met.
        What nodes hold does not count: they have no hash."""
        inside = dict.values(value) if type(value) is Node else value if type(value) is list else [value]
        return sum(1 + self._unfolded.get(id(child), 0) for child in inside)

    def _error(self, value: Tagged, message: str) -> DataFileError:
        line = value.place.line
        return DataFileError(f"{self.file}{'' if line is None else f':{line}'}: !{value.tag}: {message}")

    def _refuse(self, value: Any, *reasons: str, key: Any = None) -> None:
        origin = position_of(value) if type(value) is Node else getattr(value, "place", None)
        if isinstance(origin, MappingPosition | JsonMapping):
            line = origin.line_of(key)
        else:
            line = None if origin is None else origin.line
        self.refused += [f"{line or '?'}: {reason}" for reason in reasons]

    # ---------------------------------------------------------------- calls

    def _check_node(self, node: Node) -> None:
        """What a node calls, and with what; and the interpolations in it."""
        if self.policy.everything:
            return
        if raw_contains(node, "_target_"):
            reason = self._why_no_call(node)
            if reason is not None:
                self._refuse(node, reason, key="_target_")
        self._check_texts(node)

    def _why_no_call(self, node: Node) -> str | None:
        target: Any = raw_get(node, "_target_")
        args: Any = raw_get(node, "_args_", ())
        odd = [key for key in dict.keys(node) if type(key) is not str or key.startswith("__")]
        if odd:
            return f"the argument {odd[0]!r}"
        if type(args) is not tuple or type(raw_get(node, "_partial_", False)) is not bool:
            return "'_args_' that is no list, or '_partial_' that is no truth value"
        if target is getattr:
            return (
                None
                if self._is_plain_attribute(node)
                else f"the attribute {args[1:]!r} of {_brief(args[:1])}"
            )
        if type(target) is str:
            if "${" in target:
                return f"a target that is an interpolation, {short_repr(target)}"
            if "." not in target:
                return None  # building says so, with a suggestion
            try:
                target = self._resolve(target)
            except UntrustedError as error:
                return error.refused[0]
            except ImportError as error:
                return str(error)[:_LONGEST_REASON]
        if type(target) is Node:
            is_method = raw_get(target, "_target_") is getattr and not raw_contains(target, "_partial_")
            return None if is_method else "a call of what another call gives"
        if isinstance(target, functools.partial):
            return None  # what it wraps is judged among the values
        if is_deferred(target):
            return None
        if not callable(target):  # None, where a name was refused
            return None if self.refused else f"the target {_brief(target)}, which cannot be called"
        reason = self.policy.why_refused(target)
        if reason is None:
            keywords = {k: v for k, v in raw_items(node) if k not in ("_target_", "_args_", "_partial_")}
            reason = why_costly(target, args, keywords)
        if reason is None and raw_get(node, "_partial_", False) and takes_literals_only(target):
            reason = f"{maker_name(target)!r} that is called later"
        return reason

    def _check_texts(self, holder: Any) -> None:
        """Interpolations in a node, or in the list that a file may be, down to the next nodes."""
        target = raw_get(holder, "_target_") if type(holder) is Node else None
        for key, text in _texts(holder):
            reason = self.policy.why_text_refused(text, is_target=False)
            if reason is not None and text is not target:
                self._refuse(holder, reason, key=key)

    def _is_plain_attribute(self, node: Node) -> bool:
        args: Any = raw_get(node, "_args_", ())
        if (
            len(dict.keys(node)) != 2
            or len(args) != 2
            or not is_call(args[0])
            or raw_get(args[0], "_partial_")
        ):
            return False
        owner: Any = raw_get(args[0], "_target_")
        if type(owner) is str:
            try:
                owner = self._resolve(owner)
            except (UntrustedError, ImportError):
                return False
        return self.policy.allows_attribute(owner, args[1])

    # ---------------------------------------------------------------- values

    def _make_name(self, tagged: Tagged, payload: Any) -> Any:
        if payload == "builtins.getattr":
            return getattr  # judged with its arguments, in `_why_no_call`; anywhere else it is refused
        return self._resolve(_text(payload))

    def _resolve(self, text: str) -> Any:
        return self.policy.resolve(text)

    def _make_source(self, tagged: Tagged, payload: Any) -> Any:
        if self.source is None:
            raise ConfigError(f"the file has no {SOURCE_KEY!r} that could define {payload!r}")
        return vars(self.source)[_text(payload)]

    def _make_tuple(self, tagged: Tagged, payload: Any) -> Any:
        return tuple(_list(payload))

    def _make_set(self, tagged: Tagged, payload: Any) -> Any:
        return set(_hashed(_list(payload)))

    def _make_frozenset(self, tagged: Tagged, payload: Any) -> Any:
        return frozenset(_hashed(_list(payload)))

    def _make_dict(self, tagged: Tagged, payload: Any) -> Any:
        pairs = [_list(pair) for pair in _list(payload)]
        _hashed([pair[0] for pair in pairs])
        result = Node((key, value) for key, value in pairs)
        if raw_contains(result, "_target_"):
            raise ConfigError("a call is written as a mapping, not as !dict")
        return result

    def _make_bytes(self, tagged: Tagged, payload: Any) -> Any:
        return base64.b64decode(_text(payload), validate=True)

    def _make_complex(self, tagged: Tagged, payload: Any) -> Any:
        real, imaginary = _list(payload)
        return complex(float(real), float(imaginary))

    def _make_float(self, tagged: Tagged, payload: Any) -> Any:
        return float(payload)

    def _make_required(self, tagged: Tagged, payload: Any) -> Any:
        return REQUIRED

    def _make_ellipsis(self, tagged: Tagged, payload: Any) -> Any:
        return ...

    def _make_path(self, tagged: Tagged, payload: Any) -> Any:
        kind, text = _list(payload) if isinstance(payload, list) else ("Path", payload)
        if kind not in ("Path", "PurePath", "PurePosixPath", "PureWindowsPath"):
            raise ConfigError(f"{kind!r} is no kind of path")
        return getattr(pathlib, kind)(text)

    def _make_object(self, tagged: Tagged, payload: Any) -> Any:
        fields = dict(raw_items(_node(payload)))
        cls = fields.pop("_class_", None)
        is_named_tuple = isinstance(cls, type) and issubclass(cls, tuple) and hasattr(cls, "_fields")
        if not is_named_tuple and not (isinstance(cls, type) and field_names(cls) is not None):
            raise ConfigError(f"{cls!r} is neither a dataclass nor a named tuple")
        return cls(**fields)

    def _make_member(self, tagged: Tagged, payload: Any) -> Any:
        cls, name = _list(payload)
        if not (isinstance(cls, type) and issubclass(cls, enum.Enum)):
            raise ConfigError(f"{cls!r} is no enum")
        return cls.__members__[name]

    def _make_partial(self, tagged: Tagged, payload: Any) -> Any:
        function, args, keywords = _list(payload)
        if not callable(function):
            raise ConfigError(f"{function!r} cannot be called")
        return functools.partial(function, *_list(args), **dict(raw_items(_node(keywords))))

    def _make_construct(self, tagged: Tagged, payload: Any) -> Any:
        function, args, keywords = _list(payload)
        given = dict(raw_items(_node(keywords)))
        # containers of the data formats are nodes; constructors of values take plain dicts
        plain = [dict(raw_items(a)) if type(a) is Node else a for a in _list(args)]
        if self.policy.everything:
            return function(*plain, **given)
        if not is_value_maker(function):
            raise UntrustedError([f"{_brief(function)} is not among the constructors of plain values"])
        return make_value(function, plain, given)

    def _make_attribute(self, tagged: Tagged, payload: Any) -> Any:
        owner, name = _list(payload)
        if not self.policy.everything:
            raise UntrustedError([f"the attribute {name!r} of {owner!r}"])
        return getattr(owner, name)


def _children_of(value: Any) -> Iterable[Any]:
    if type(value) is Node:
        return list(dict.values(value))
    if type(value) is list:
        return list(value)
    return [value.value]


def _nodes_and_values(root: Any) -> tuple[list[Node], list[tuple[Any, Any, Any]]]:
    """The nodes of a finished config, those inside sets, objects and partials included; and everything else
    in it that is not the target of a node, with the node that holds it and the key there."""
    nodes: list[Node] = []
    values: list[tuple[Any, Any, Any]] = []
    seen: set[int] = set()
    work: list[tuple[Any, Any, Any]] = [(root, root, None)]
    while work:
        value, holder, key = work.pop()
        if type(value) is Node:
            if id(value) in seen:
                continue
            seen.add(id(value))
            nodes.append(value)
            work.extend((name, value, name) for name in dict.keys(value))
            work.extend(
                (child, value, name) for name, child in raw_items(value) if not _is_target(name, child)
            )
            continue
        if type(value) in _PLAIN:
            continue
        values.append((value, holder, key))
        if id(value) not in seen:
            seen.add(id(value))
            work.extend((part, holder, key) for part in _parts_of(value))
    return nodes[::-1], values


_PLAIN = (str, int, float, bool, complex, bytes, type(None))


def _is_target(key: Any, value: Any) -> bool:
    """Whether a child of a node is its target, and is judged with what it is called with."""
    return key == "_target_" and type(value) is not Node and not isinstance(value, functools.partial)


def _parts_of(value: Any) -> Iterable[Any]:
    """What an object of a data file is made of."""
    if isinstance(value, dict):
        return [*dict.keys(value), *dict.values(value), getattr(value, "default_factory", None)]
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, slice):
        return [value.start, value.stop, value.step]
    names = None if isinstance(value, type) else field_names(type(value))
    if names is not None:
        return [*getattr(value, "__dict__", {}).values(), *(getattr(value, name, None) for name in names)]
    return ()


def _brief(value: Any) -> str:
    return target_name(value, full=True) if callable(value) and type(value) is not Node else short_repr(value)


def _line_in(refusal: str) -> int:
    line = refusal.partition(":")[0]
    return int(line) if line.isdigit() else 0


def _hashed(keys: list[Any]) -> list[Any]:
    reason = refuse_colliding(keys)
    if reason is not None:
        raise ConfigError(reason)
    return keys


def _texts(holder: Any) -> Iterable[tuple[Any, str]]:
    """Strings with an interpolation in a container and in what it holds, down to the next nodes, each with
    the key of the container that leads to it."""
    pairs = raw_items(holder) if isinstance(holder, dict) else [(None, part) for part in _parts_of(holder)]
    work = [(key, value) for pair in pairs for key, value in ((pair[0], pair[0]), pair)]
    seen: set[int] = set()
    while work:
        key, value = work.pop()
        if type(value) is str:
            if "${" in value:
                yield key, value
        elif type(value) is not Node and id(value) not in seen:
            seen.add(id(value))
            work.extend((key, part) for part in _parts_of(value))


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ConfigError(f"text is expected, not {value!r}")
    return value


def _list(value: Any) -> list[Any]:
    if type(value) is not list:
        raise ConfigError(f"a list is expected, not {value!r}")
    return value


def _node(value: Any) -> Node:
    if type(value) is not Node:
        raise ConfigError(f"a mapping is expected, not {value!r}")
    return value
