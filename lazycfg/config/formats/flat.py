"""Configs as one level of names and plain values, for trackers of experiments that know nothing else.

The names are config paths of the JSON form of the config. A value is a text, a number, a boolean or None. A
text that begins with ``@`` stands for what JSON has no plain value for: ``@a.b.Name`` is what is imported
from there, ``@{}`` and ``@[]`` are empty; a text of the config that begins with ``@`` has one more before it.

Trackers forget the order of names, in which a config may mean something: ``_order_`` has, for the names in
their order, the places that they take when they are sorted.
"""

from __future__ import annotations

import json
from typing import Any

from lazycfg.config.errors import FormatError
from lazycfg.config.formats.json_io import parse_json, to_json
from lazycfg.config.tree.paths import format_path, parse_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NAME = "!name"
_ORDER = "_order_"


def to_flat(cfg: Any) -> dict[str, Any]:
    """Return a config as paths and plain values; `from_flat` gives back an equal tree.

    Raises:
        SaveError: something in the config cannot be kept.
        CycleError: the config contains itself.
    """
    flat: dict[str, Any] = {}
    work: list[tuple[tuple[str | int, ...], Any]] = [((), json.loads(to_json(cfg)))]
    while work:
        path, value = work.pop()
        if isinstance(value, dict) and list(value) == [_NAME] and isinstance(value[_NAME], str):
            flat[format_path(path)] = f"@{value[_NAME]}"
        elif isinstance(value, dict | list) and value:
            items = value.items() if isinstance(value, dict) else enumerate(value)
            work += reversed([((*path, key), item) for key, item in items])
        elif isinstance(value, dict | list):
            flat[format_path(path)] = "@{}" if isinstance(value, dict) else "@[]"
        else:
            is_marked = isinstance(value, str) and value.startswith("@")
            flat[format_path(path)] = f"@{value}" if is_marked else value
    if _ORDER in flat:
        raise FormatError(f"the config has a key {_ORDER!r} at its top, which a flat config has for itself")
    places = {name: place for place, name in enumerate(sorted(flat))}
    return flat | {_ORDER: ",".join(str(places[name]) for name in flat)}


def from_flat(flat: Mapping[str, Any], *, trusted: bool = False, allow: Iterable[Any] | None = None) -> Any:
    """Return the config that `to_flat` was given.

    Args:
        flat: paths and plain values, in any order.
        trusted: take it to be as trusted as code: it may name and define anything.
        allow: what else it may name, as of a data file; None is `lazycfg.config.DEFAULT_ALLOW`.

    Raises:
        FormatError: the names are no paths of one config, or some are missing.
        UntrustedError: it names what is not allowed.
    """
    from lazycfg.config.formats.decode import decode
    from lazycfg.config.trust import TRUST_ALL, Policy

    root: dict[Any, Any] = {}
    for name in _in_order(flat):
        value, path = flat[name], parse_path(name)
        if not path and value == "@{}":
            break
        if not path:
            raise FormatError("a flat config has an empty name")
        place = root
        for key in path[:-1]:
            place = place.setdefault(key, {})
            if not isinstance(place, dict):
                raise FormatError(f"{name!r} lies below a value of the flat config")
        if path[-1] in place:
            raise FormatError(f"{name!r} is there twice in the flat config, or something lies below it")
        place[path[-1]] = _Leaf(value)
    text = json.dumps(_unfolded(root))
    allowed = TRUST_ALL if trusted else Policy(None if allow is None else list(allow))
    parsed = parse_json(text.encode(), "flat config")
    return decode(parsed, "flat config", allowed, may_run=trusted)


def _in_order(flat: Mapping[str, Any]) -> list[str]:
    names = sorted(name for name in flat if name != _ORDER)
    try:
        places = [int(place) for place in str(flat[_ORDER]).split(",")]
    except (KeyError, ValueError):
        places = []
    if sorted(places) != list(range(len(names))):
        raise FormatError(f"the flat config is not whole: {_ORDER!r} and its {len(names)} names do not fit")
    return [names[place] for place in places]


class _Leaf:
    """A value, told apart from a dict of more paths."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def _unfolded(found: Any) -> Any:
    """Return dicts, lists and values: a list is what has the keys 0, 1, ... as numbers."""
    if isinstance(found, _Leaf):
        value = found.value
        if not isinstance(value, str) or not value.startswith("@"):
            return value
        if value in ("@{}", "@[]"):
            return {} if value == "@{}" else []
        return value[1:] if value.startswith("@@") else {_NAME: value[1:]}
    if all(isinstance(key, int) for key in found) and found:
        if sorted(found) != list(range(len(found))):
            raise FormatError(f"a list of the flat config has the indices {sorted(found)}")
        return [_unfolded(found[index]) for index in range(len(found))]
    return {str(key): _unfolded(item) for key, item in found.items()}
