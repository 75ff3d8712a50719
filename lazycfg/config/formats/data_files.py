"""Reading the data formats: what YAML and JSON have in common.

A parser gives nodes, lists and scalars in which special values are still `Tagged`; `decode` turns these
into objects under a trust policy. All names that the policy refuses are reported together, before anything
is imported outside the allowed packages, and nothing but a fixed set of plain values is ever constructed.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import functools
import os
import pathlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from lazycfg.config.errors import ConfigError, CycleError
from lazycfg.config.formats.suffixes import format_of
from lazycfg.config.loading.session import run_source
from lazycfg.config.node import REQUIRED, Node, is_call, raw_contains, raw_get, raw_items, raw_pop, raw_set
from lazycfg.config.provenance.file_places import JsonMapping, MappingPosition
from lazycfg.config.provenance.position import position_of
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
# Callables that a `!construct` may call while the file is read: they only make values.
_VALUE_MAKERS_TEXT = """
    builtins.range builtins.slice builtins.bytearray builtins.complex collections.Counter
    collections.OrderedDict collections.defaultdict datetime.date datetime.datetime datetime.time
    datetime.timedelta datetime.timezone decimal.Decimal fractions.Fraction numpy.array numpy.dtype
    numpy.empty re.compile torch.Size torch.device torch.tensor uuid.UUID
"""
_VALUE_MAKERS = frozenset(_VALUE_MAKERS_TEXT.split())
# Values in a tuple, and in the tuples that it is made of: anchors can double them at every line, and whatever
# asks for a hash would go through all of them.
_MOST_UNFOLDED = 1_000_000
_LARGE_EXPONENT = re.compile(r"[eE][+-]?0*[1-9]\d{3}")


class DataFileError(ConfigError, ValueError):
    """A data file that is not well-formed; the message names the file and the line."""


class Tagged:
    """A value with a tag (``!tuple``), not yet made; ``line`` is its place in the file."""

    __slots__ = ("column", "line", "tag", "value")

    def __init__(self, tag: str, value: Any, line: int | None = None, column: int | None = None):
        self.tag = tag
        self.value = value
        self.line = line
        self.column = column


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
        raise DataFileError(f"{file}: a config is a mapping or a list, not a {type(config).__name__}")
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
        self._made: dict[int, Any] = {}
        self._keep: list[Any] = []

    def run(self, root: Any) -> Any:
        order = self._post_order(root)
        for value in order:
            self._made[id(value)] = self._finish(value)
        result = self._get(root)
        for node in _nodes_in(result):
            self._check_node(node)
        if type(result) is not Node:
            self._check_texts(result)
        if self.refused:
            raise UntrustedError(
                [f"{self.file}:{text}" for text in self.refused],
                'list what the file may name (allow=("package", ...)), or load it with trusted=True '
                "if you trust it as you trust code",
            )
        return result

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
            return value
        if type(value) is list:
            value[:] = [self._get(child) for child in value]
            self._unfolded[id(value)] = self._size(value)
            return value
        payload = self._get(value.value)
        size = self._size(payload)
        if size > _MOST_UNFOLDED:
            raise self._error(value, f"unfolded it has more than {_MOST_UNFOLDED:,} values")
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
        line = "" if value.line is None else f":{value.line}"
        return DataFileError(f"{self.file}{line}: !{value.tag}: {message}")

    def _refuse(self, value: Any, *reasons: str, key: Any = None) -> None:
        origin = position_of(value) if type(value) is Node else None
        if isinstance(origin, MappingPosition | JsonMapping):
            line = origin.line_of(key)
        else:
            line = getattr(value, "line", None)
        self.refused += [f"{line or '?'}: {reason}" for reason in reasons]

    # ---------------------------------------------------------------- calls

    def _check_node(self, node: Node) -> None:
        """Targets in text are resolved when the node is built; they are judged now. So are interpolations."""
        target = raw_get(node, "_target_")
        if target is getattr and not self._is_plain_attribute(node):
            self._refuse(node, f"the attribute {raw_get(node, '_args_')!r} of what another node builds")
        if self.policy.everything:
            return
        if raw_contains(node, "_target_") and not (
            isinstance(target, str) or callable(target) or is_call(target) or self.refused
        ):
            self._refuse(node, f"the target {target!r}, which is neither a call nor a name")
        if type(target) is str:
            reason = self.policy.why_text_refused(target, is_target=True)
            if reason is not None:
                self._refuse(node, reason, key="_target_")
        self._check_texts(node)

    def _check_texts(self, holder: Any) -> None:
        """Interpolations in a node, or in the list that a file may be, down to the next nodes."""
        target = raw_get(holder, "_target_") if type(holder) is Node else None
        for key, text in _texts(holder):
            reason = self.policy.why_text_refused(text, is_target=False)
            if reason is not None and text is not target:
                self._refuse(holder, reason, key=key)

    def _is_plain_attribute(self, node: Node) -> bool:
        args = raw_get(node, "_args_")
        if not isinstance(args, tuple) or len(args) != 2 or not is_call(args[0]):
            return False
        if self.policy.everything:
            return True
        # What a class makes is known; what a function or a method gives back is not, and may be anything.
        owner = raw_get(args[0], "_target_")
        try:
            if type(owner) is str:
                owner = self.policy.resolve(owner)
        except (UntrustedError, ImportError):
            return False
        if not isinstance(owner, type) or raw_get(args[0], "_partial_"):
            return False
        return self.policy.allows_attribute(owner, args[1])

    # ---------------------------------------------------------------- values

    def _make_name(self, tagged: Tagged, payload: Any) -> Any:
        if payload == "builtins.getattr":
            return getattr  # judged as a whole with its arguments, in _check_node
        return self.policy.resolve(_text(payload))

    def _make_source(self, tagged: Tagged, payload: Any) -> Any:
        if self.source is None:
            raise ConfigError(f"the file has no {SOURCE_KEY!r} that could define {payload!r}")
        return vars(self.source)[_text(payload)]

    def _make_tuple(self, tagged: Tagged, payload: Any) -> Any:
        return tuple(_list(payload))

    def _make_set(self, tagged: Tagged, payload: Any) -> Any:
        return set(_list(payload))

    def _make_frozenset(self, tagged: Tagged, payload: Any) -> Any:
        return frozenset(_list(payload))

    def _make_dict(self, tagged: Tagged, payload: Any) -> Any:
        result = Node((key, value) for key, value in map(_list, _list(payload)))
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
        if not is_named_tuple and not (isinstance(cls, type) and dataclasses.is_dataclass(cls)):
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
        name = f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', '')}"
        is_flag = isinstance(function, type) and issubclass(function, enum.Enum)
        if not (self.policy.everything or is_flag or name in _VALUE_MAKERS or _is_value_maker(function)):
            raise UntrustedError([f"{name!r} is not among the constructors of plain values"])
        if name == "fractions.Fraction" and any(
            isinstance(arg, str) and _LARGE_EXPONENT.search(arg) for arg in (*plain, *given.values())
        ):
            # made, it would fill the memory
            raise ConfigError("a fraction with an exponent of four digits or more")
        return function(*plain, **given)

    def _make_attribute(self, tagged: Tagged, payload: Any) -> Any:
        owner, name = _list(payload)
        if not self.policy.everything:
            raise UntrustedError([f"the attribute {name!r} of {owner!r}"])
        return getattr(owner, name)


def _is_value_maker(function: Any) -> bool:
    from lazycfg.config.formats.importable import find_name, public_name

    name = find_name(function)
    return name is not None and str(public_name(name, function)) in _VALUE_MAKERS


def _children_of(value: Any) -> Iterable[Any]:
    if type(value) is Node:
        return list(dict.values(value))
    if type(value) is list:
        return list(value)
    return [value.value]


def _nodes_in(root: Any) -> list[Node]:
    """Every node of a finished config, those inside sets, objects and partials included."""
    found: list[Node] = []
    seen: set[int] = set()
    work = [root]
    while work:
        value = work.pop()
        if id(value) in seen or isinstance(value, str | type):
            continue
        seen.add(id(value))
        if type(value) is Node:
            found.append(value)
        work.extend(_parts_of(value))
    return found[::-1]


def _parts_of(value: Any) -> Iterable[Any]:
    """What an object of a data file is made of."""
    if isinstance(value, dict):
        return [*dict.keys(value), *dict.values(value)]
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name, None) for field in dataclasses.fields(value)]
    return ()


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
