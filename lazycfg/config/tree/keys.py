"""What a key of a config path leads to."""

from __future__ import annotations

from types import ModuleType

from lazycfg.config.suggest import closest
from lazycfg.config.tree.containers import field_names
from lazycfg.config.tree.paths import MISSING, format_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from lazycfg.config.tree.paths import Key


def keys_of(value: Any) -> list[Key]:
    """Return the keys that lead on from `value`: of a dict, indices of a list, else the public fields."""
    if isinstance(value, dict):
        return [k for k in dict.keys(value) if k != "_target_"]
    if isinstance(value, (list, tuple)):
        return list(range(len(value)))
    return list(_fields(value))


def _fields(value: Any) -> Mapping[str, Any]:
    """Return what a path may lead to in an object: the data that it holds, and never what its class or a
    module defines. A method leads to everything that Python can do, and a path may come from somebody else's
    file.
    """
    names = field_names(type(value))
    if names is not None:
        return {name: getattr(value, name) for name in names if hasattr(value, name)}
    held = None if isinstance(value, (type, ModuleType)) else getattr(value, "__dict__", None)
    return {name: held[name] for name in held if name[:1] != "_"} if type(held) is dict else {}


def find_key(value: Any, key: Key) -> Any:
    """Return the child of `value` at `key`, as stored (a `${...}` is not resolved); `MISSING` for none."""
    if isinstance(value, dict):
        found = dict.get(value, key, MISSING)
        if found is MISSING and isinstance(key, int):
            found = dict.get(value, str(key), MISSING)
            args = dict.get(value, "_args_")
            if found is MISSING and isinstance(args, (list, tuple)) and -len(args) <= key < len(args):
                return args[key]
        elif found is MISSING and "_args_" in value:
            from lazycfg.config.signatures.binding import named_later

            return named_later(value, key)
        return found
    if isinstance(value, (list, tuple)):
        if isinstance(key, int):
            return value[key] if -len(value) <= key < len(value) else MISSING
        return getattr(value, key, MISSING) if key in getattr(value, "_fields", ()) else MISSING
    return _fields(value).get(key, MISSING) if isinstance(key, str) else MISSING


def dead_end(keys: Sequence[Key], depth: int, value: Any) -> str:
    """Return the message for a path of which the first `depth` keys lead to `value`, and no further."""
    names = [str(k) for k in keys_of(value)]
    where = format_path(keys[:depth])
    place = repr(where) if where else "the config"
    if isinstance(value, (list, tuple)):
        place = f"the list {place}" if where else "the list"
        hint = f", its length is {len(value)}"
    else:
        hint = closest(str(keys[depth]), names)
    return f"config path {format_path(keys)!r}: {place} has no {str(keys[depth])!r}{hint}"
