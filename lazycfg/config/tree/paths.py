"""Config paths: `model.backbone.stages.0.depth`.

A path is a tuple of keys (str) and indices (int). In text, keys are joined by dots; list indices are
numbers, negative ones count from the end; a key that is a number, or that has something in it that means
more (a dot, a bracket, a quote, `=`, `*`, a blank, a sign at its start), is written as `["a.b"]`. `a[0]` is
accepted for `a.0`.
"""

from __future__ import annotations

from types import ModuleType

from lazycfg.config.errors import PathError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, TypeAlias

    Key: TypeAlias = Any
    Path: TypeAlias = "tuple[Key, ...]"
    # A path as a chain of links to the parent, which costs nothing to extend: (link of the parent, key).
    Link: TypeAlias = "tuple[Link | None, Key] | None"

MISSING: Any = type("Missing", (), {"__slots__": (), "__repr__": lambda self: "<missing>"})()

__all__ = [
    "MISSING",
    "Quoted",
    "dead_end",
    "find_key",
    "format_path",
    "get_path",
    "join",
    "lookup",
    "parse_path",
    "unlink",
]


class Quoted(str):
    """A key that was written in quotes: it means itself, even where `*` is a wildcard."""

    __slots__ = ()


def _is_plain(key: str) -> bool:
    """Whether a key needs no quotes, whatever an override makes of `=`, `*`, a sign, a blank."""
    if not key or _is_index(key) or key[0] in "+~-&@" or key[-1] == "+":
        return False
    return not any(char in ".[]'\"=*?" or char.isspace() for char in key)


def _is_index(text: str) -> bool:
    return text.removeprefix("-").isdigit() and text.isascii()


def parse_path(text: str) -> tuple[str | int, ...]:
    """The keys of a path in text; "" is the root. Raises `PathError` when it is not well-formed."""
    parts: list[str | int] = []
    position, size = 0, len(text)
    expect_key = True
    while position < size:
        char = text[position]
        if char == ".":
            if expect_key:
                raise PathError(f"an empty key in the config path {text!r} at character {position + 1}")
            expect_key = True
            position += 1
        elif char == "[":
            position, key = _parse_bracket(text, position)
            parts.append(key)
            expect_key = False
        else:
            if not expect_key:
                raise PathError(f"a dot is missing in the config path {text!r} at character {position + 1}")
            end = position
            while end < size and text[end] not in ".[":
                end += 1
            word = text[position:end]
            parts.append(int(word) if _is_index(word) else word)
            position, expect_key = end, False
    if expect_key and parts:
        raise PathError(f"the config path {text!r} ends with a dot")
    return tuple(parts)


def _parse_bracket(text: str, start: int) -> tuple[int, str | int]:
    """The key in the brackets that open at `start`, and where the text goes on."""
    if text[start + 1 : start + 2] in ("'", '"'):
        quote = text[start + 1]
        end = start + 2
        word = ""
        while end < len(text) and text[end] != quote:
            if text[end] == "\\" and end + 1 < len(text):
                end += 1
            word += text[end]
            end += 1
        if text[end : end + 2] != quote + "]":
            raise PathError(f"a bracket is not closed in the config path {text!r}")
        return end + 2, Quoted(word)
    end = text.find("]", start)
    if end < 0:
        raise PathError(f"a bracket is not closed in the config path {text!r}")
    word = text[start + 1 : end]
    if not word:
        raise PathError(f"an empty bracket in the config path {text!r}")
    return end + 1, int(word) if _is_index(word) else word


def format_path(path: Iterable[Key]) -> str:
    """The text of a path; the inverse of `parse_path`. The root is ""."""
    text = ""
    for key in path:
        if isinstance(key, str):
            if not _is_plain(key):
                escaped = key.replace("\\", "\\\\").replace('"', '\\"')
                text += f'["{escaped}"]'
                continue
            word = key
        else:
            word = str(key)
        text += f".{word}" if text else word
    return text


def join(prefix: str, path: Iterable[Key]) -> str:
    """`prefix` and `path` as one text."""
    return format_path((*parse_path(prefix), *path))


def unlink(link: Link) -> Path:
    """The path of a chain of links."""
    keys = []
    while link is not None:
        link, key = link
        keys.append(key)
    keys.reverse()
    return tuple(keys)


def keys_of(value: Any) -> list[Key]:
    """The keys that lead on from `value`: of a dict, the indices of a list or tuple, else the public
    fields.
    """
    if isinstance(value, dict):
        return [k for k in dict.keys(value) if k != "_target_"]
    if isinstance(value, (list, tuple)):
        return list(range(len(value)))
    return list(_fields(value))


def _fields(value: Any) -> Mapping[str, Any]:
    """What a path may lead to in an object: the data that it holds, and never what its class or a module
    defines. A method leads to everything that Python can do, and a path may come from somebody else's file.
    """
    from lazycfg.config.tree.containers import field_names

    names = field_names(type(value))
    if names is not None:
        return {name: getattr(value, name) for name in names if hasattr(value, name)}
    held = None if isinstance(value, (type, ModuleType)) else getattr(value, "__dict__", None)
    return {name: held[name] for name in held if name[:1] != "_"} if type(held) is dict else {}


def lookup(value: Any, key: Key) -> Any:
    """One step: the child of `value` at `key`, as stored (a `${...}` string is not resolved).

    Raises `LookupError` when there is none.
    """
    found = find_key(value, key)
    if found is MISSING:
        raise LookupError(key)
    return found


def find_key(value: Any, key: Key) -> Any:
    """As `lookup`, with `MISSING` for a key that is not there."""
    if isinstance(value, dict):
        found = dict.get(value, key, MISSING)
        if found is MISSING and isinstance(key, int):
            found = dict.get(value, str(key), MISSING)
            args = dict.get(value, "_args_")
            if found is MISSING and isinstance(args, (list, tuple)) and -len(args) <= key < len(args):
                return args[key]
        elif found is MISSING and "_args_" in value:
            return _named_later(value, key)
        return found
    if isinstance(value, (list, tuple)):
        if isinstance(key, int):
            return value[key] if -len(value) <= key < len(value) else MISSING
        return getattr(value, key, MISSING) if key in getattr(value, "_fields", ()) else MISSING
    return _fields(value).get(key, MISSING) if isinstance(key, str) else MISSING


def _named_later(node: dict[str, Any], key: Key) -> Any:
    """Return an argument that was given by position to a target that had not been imported then."""
    from lazycfg.config.errors import TargetError
    from lazycfg.config.signatures.callables import can_be_named, given_by_position, node_signature
    from lazycfg.config.tree.node import Node

    args = given_by_position(node)
    if type(node) is not Node or not args:
        return MISSING
    try:
        signature = node_signature(node)
    except TargetError:  # told by whoever checks or builds
        return MISSING
    if signature is None or key not in signature.names or not can_be_named(signature.target):
        return MISSING
    names = signature.positional
    if key not in names or (signature.any_position and dict.keys(node) & set(names)):  # the rest of *args
        return MISSING
    at = names.index(key)
    return args[at] if at < len(args) else MISSING


def get_path(root: Any, path: str | Sequence[Key], *, resolve: bool = True) -> Any:
    """The value at a config path; interpolations on the way and at the end are resolved unless
    `resolve=False` (then only those on the way are).

    Raises `PathError`, which says how far the path led and what was meant.
    """
    keys = parse_path(path) if isinstance(path, str) else tuple(path)
    chain: Any = None  # that of `value`; needed only for interpolations
    value = root
    for depth, key in enumerate(keys):
        child = find_key(value, key)
        if child is MISSING:
            raise PathError(dead_end(keys, depth, value))
        last = depth + 1 == len(keys)
        if type(child) is str and "${" in child and (resolve or not last):
            from lazycfg.config.tree.interpolation import resolve as resolve_text

            if chain is None:
                chain = _chain(root, keys[:depth])
            child, chain = resolve_text(child, chain)
        elif chain is not None:
            from lazycfg.config.tree.chains import extend

            chain = extend(chain, child)
        value = child
    if resolve and isinstance(value, (list, tuple, dict)) and not _is_node(value):
        from lazycfg.config.tree.reading import has_interpolation, read_in_chain

        if has_interpolation(value):
            return read_in_chain(value, _chain(root, keys) if chain is None else chain)
    return value


def _chain(root: Any, keys: Sequence[Key]) -> Any:
    """Return the chain of what `keys` lead to from `root`, without an interpolation on the way."""
    from lazycfg.config.tree.chains import chain_above, extend

    chain = chain_above(root)
    for key in keys:
        chain = extend(chain, find_key(chain[0], key))
    return chain


def path_to(node: Any) -> Path:
    """Return the path of a node from the topmost container above it, as far as that is known."""
    from lazycfg.config.building.check import prefix_link

    return unlink(prefix_link(node))


def _is_node(value: Any) -> bool:
    from lazycfg.config.tree.node import Node

    return type(value) is Node


def dead_end(keys: Sequence[Key], depth: int, value: Any) -> str:
    """The message for a path of which the first `depth` keys lead to `value`, and no further."""
    from lazycfg.config.suggest import closest

    names = [str(k) for k in keys_of(value)]
    where = format_path(keys[:depth])
    place = repr(where) if where else "the config"
    if isinstance(value, (list, tuple)):
        place = f"the list {place}" if where else "the list"
        hint = f", its length is {len(value)}"
    else:
        hint = closest(str(keys[depth]), names)
    return f"config path {format_path(keys)!r}: {place} has no {str(keys[depth])!r}{hint}"
