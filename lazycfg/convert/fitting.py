"""What must be changed in one tree so that it builds what another one describes: `fit`.

The first tree is a part of the model zoo, the second one was made from scratch. Arguments that are not given
count as their defaults, lists as tuples, and a `${...}` as what it stands for: where it stands for the right
value it is kept.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, is_dataclass, replace
from typing import Any

from lazycfg.config import Node, get_path
from lazycfg.config.errors import ConfigError
from lazycfg.config.signatures.callables import signature_of

__all__ = ["NOTHING", "Edit", "apply_edits", "default_of", "edits_size", "fit", "pruned", "same_value"]

Path = tuple[Any, ...]

NOTHING: Any = object()
"""The value of an edit that takes a key away."""


@dataclass(frozen=True)
class Edit:
    """One statement: the value that a path gets, `NOTHING` to take it away."""

    path: Path
    value: Any


def fit(have: Node, want: Node, key: str, *, whole: bool = True) -> list[Edit]:
    """Return the edits of ``have[key]`` after which it builds what ``want[key]`` does.

    Args:
        have: a whole config, so that what its `${...}` stand for is found; it is not changed.
        want: another one.
        key: one of the keys of both.
        whole: take keys away that are not wanted, from dicts that are no calls; else they stay.
    """
    fitting = _Fitting(want, whole)
    fitting.compare((key,), _raw(have, key), _raw(want, key))
    edits = fitting.edits
    if fitting.doubtful:
        edited = have.copy()
        apply_edits(edited, edits)
        for path, wanted in fitting.doubtful:
            if not _stands_for(edited, path, want, wanted):
                edit = Edit(path, wanted)
                edits.append(edit)
                apply_edits(edited, [edit])
    return edits


def edits_size(edits: list[Edit]) -> int:
    """Return about how much is written for some edits, to compare."""
    return sum(map(_size, edits))


def apply_edits(cfg: Node, edits: list[Edit]) -> None:
    """Change a config as the edits say."""
    for edit in edits:
        holder = get_path(cfg, edit.path[:-1])
        if edit.value is NOTHING:
            del holder[edit.path[-1]]
        else:
            holder[edit.path[-1]] = edit.value.copy() if isinstance(edit.value, Node) else edit.value


class _Fitting:
    def __init__(self, want: Node, whole: bool = True) -> None:
        self.edits: list[Edit] = []
        self.doubtful: list[tuple[Path, Any]] = []  # places of `${...}`, which are judged after the edits
        self._want = want
        self._whole = whole

    def compare(self, path: Path, have: Any, want: Any) -> None:
        """Add what turns one value into the other."""
        if _is_reference(have):
            if have != want:
                self.doubtful.append((path, want))
        elif _is_reference(want):
            if not same_value(have, get_path(self._want, path)):
                self.edits.append(Edit(path, want))
        elif type(have) is Node and type(want) is Node:
            self._nodes(path, have, want)
        elif isinstance(have, list | tuple) and isinstance(want, list | tuple) and _has_parts(have, want):
            if len(have) != len(want):
                self.edits.append(Edit(path, want))
            elif all(type(element) is Node for element in [*have, *want]):
                for index, (one, other) in enumerate(zip(have, want, strict=True)):
                    self.compare((*path, index), one, other)
            else:
                self.doubtful.append((path, want))
        elif type(have) is Node and _call(have) is type(want) and is_dataclass(want):
            for name, value in _fields(want).items():
                self._argument(path, name, dict.get(have, name, NOTHING), value, _call(have))
        elif not same_value(have, want):
            self.edits.append(Edit(path, want))

    def _nodes(self, path: Path, have: Node, want: Node) -> None:
        if _call(have) is _call(want) or _call(have) == _call(want):
            self._arguments(path, have, want)
            return
        whole = Edit(path, want)
        if _call(have) is None or _call(want) is None:
            self.edits.append(whole)
            return
        # another class with the same arguments: `_target_` alone is changed
        inner = _Fitting(self._want, self._whole)
        inner.edits.append(Edit((*path, "_target_"), _call(want)))
        inner._arguments(path, have, want)
        if sum(map(_size, inner.edits)) < _size(whole):
            self.edits += inner.edits
            self.doubtful += inner.doubtful
        else:
            self.edits.append(whole)

    def _arguments(self, path: Path, have: Node, want: Node) -> None:
        given, wanted = dict(dict.items(have)), dict(dict.items(want))
        for name in [*wanted, *(name for name in given if name not in wanted)]:
            if name != "_target_":
                self._argument(path, name, given.get(name, NOTHING), wanted.get(name, NOTHING), _call(want))

    def _argument(self, path: Path, name: str, have: Any, want: Any, call: Any) -> None:
        default = NOTHING if call is None else default_of(call, name)
        place = (*path, name)
        if want is NOTHING:
            if default is NOTHING:
                if self._whole or call is not None:
                    self.edits.append(Edit(place, NOTHING))
                return
            want = default
        if have is NOTHING:
            if default is NOTHING:
                default = _PASSED_ON.get(name, NOTHING)
            if default is NOTHING or not same_value(default, want):
                self.edits.append(Edit(place, want))
            return
        self.compare(place, have, want)


def pruned(value: Any) -> Any:
    """Return a tree without those arguments of our own classes and functions that have their defaults."""
    if type(value) is Node:
        call = _call(value)
        kept = {}
        for name, inner in dict.items(value):
            inner = pruned(inner)
            default = NOTHING if name in _KEPT or not _is_ours(call) else default_of(call, name)
            if default is NOTHING or not same_value(default, inner):
                kept[name] = inner
        return Node(kept)
    if type(value) is dict:
        return {key: pruned(inner) for key, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(pruned, value))
    # objects that stand at two places are two, as they are written twice
    return replace(value) if is_dataclass(value) and not isinstance(value, type) else value


# What other parts of a config refer to, and programs read
_KEPT = frozenset(("_target_", "image_format", "input_format", "num_workers", "seed", "thing_ids"))


def _is_ours(call: Any) -> bool:
    return getattr(call, "__module__", "").startswith("lazycfg.")


def default_of(call: Any, name: str) -> Any:
    """Return the default of an argument of a callable, `NOTHING` where it has none.

    A class whose constructor takes `**kwargs` passes them to its base's.
    """
    for owner in call.__mro__ if inspect.isclass(call) else (call,):
        signature = None if owner is object else signature_of(owner)
        if signature is None:
            break
        if name in signature.parameters:
            default = signature.parameters[name].default
            return NOTHING if default is inspect.Parameter.empty else default
        if not signature.any_name:
            return NOTHING
    return NOTHING


# Defaults of the blocks of a ResNet, for the functions that pass such arguments on
_PASSED_ON: dict[str, Any] = {
    "num_groups": 1,
    "stride_in_1x1": False,
    "deform_modulated": False,
    "deform_num_groups": 1,
}


def same_value(one: Any, other: Any) -> bool:
    """Return whether two values are the same but for lists and tuples, and whole numbers and floats."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same_value, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return set(one) == set(other) and all(same_value(one[key], other[key]) for key in one)
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return (type(one) in (int, float) and type(other) in (int, float) and one == other) or (
        type(one) is type(other) and bool(one == other)
    )


def _stands_for(have: Node, path: Path, want: Node, wanted: Any) -> bool:
    """Return whether what is at a path builds what is wanted, what `${...}` stand for considered."""
    try:
        value = get_path(have, path)
    except ConfigError:
        return False
    if _is_reference(wanted):
        wanted = get_path(want, path)
    if isinstance(value, list | tuple) and isinstance(wanted, list | tuple) and len(value) == len(wanted):
        return all(_stands_for(have, (*path, n), want, element) for n, element in enumerate(wanted))
    if type(value) is Node and type(wanted) is Node:
        inner = _Fitting(want)
        inner.compare(path, value, wanted)
        return not inner.edits and all(_stands_for(have, p, want, w) for p, w in inner.doubtful)
    return same_value(value, wanted)


def _raw(node: Node, key: str) -> Any:
    return dict.__getitem__(node, key)


def _is_reference(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("${") and value.endswith("}") and ":" not in value


def _call(node: Node) -> Any:
    return dict.get(node, "_target_")


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def _has_parts(*lists: Any) -> bool:
    return any(type(element) is Node or _is_reference(element) for values in lists for element in values)


def _size(edit: Edit) -> int:
    """Return about how much an edit writes."""
    return len(edit.path) + sum(1 for _ in _leaves(edit.value))


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for element in dict.values(value):
            yield from _leaves(element)
    elif isinstance(value, list | tuple):
        for element in value:
            yield from _leaves(element)
    yield value
