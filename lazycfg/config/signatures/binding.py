"""The arguments of a node against the signature of its target.

`check`, the overrides and the command line all ask here whether a node can take an argument, so that there
is one answer. Parameters of the target are authoritative: an optional one that the config left out may be
set.
"""

from __future__ import annotations

from functools import partial

from lazycfg.config.errors import TargetError
from lazycfg.config.signatures.callables import can_be_named, signature_of
from lazycfg.config.suggest import closest
from lazycfg.config.tree.node import SPECIAL, Node, raw_contains, raw_get, raw_items, raw_replace, raw_set
from lazycfg.config.tree.paths import MISSING
from lazycfg.config.tree.targets import is_imported, target_name
from lazycfg.config.tree.traversal import plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lazycfg.config.signatures.callables import Signature


def node_signature(node: Node) -> Signature | None:
    """Return the signature behind a node, None if there is none to know. Raises `TargetError`."""
    target = raw_get(node, "_target_")
    return None if target is None or type(target) is Node else signature_of(target)


def known_signature(node: Any) -> Signature | None:
    """Do `node_signature`; a target that cannot be imported has none, as `check` tells of it, nor has what is
    no node.
    """
    try:
        return node_signature(node) if type(node) is Node else None
    except TargetError:
        return None


def given_by_position(node: Any) -> Any:
    """Return the arguments in `_args_`; nothing where that is no list or tuple."""
    args = raw_get(node, "_args_")
    return args if isinstance(args, (list, tuple)) else ()


def bind_positional(node: Node, *, importing: bool = False) -> None:
    """Give the positional arguments in `_args_` the names that the target's signature has for them, in place.

    Those of `*args` and of positional-only parameters stay in `_args_`; so do all of a target whose signature
    may be that of something else (`can_be_named`), and of one that has not been imported yet, unless
    `importing`. Raises `TypeError` for too many or twice given ones.
    """
    args = given_by_position(node)
    target = raw_get(node, "_target_")
    if not args or type(target) is Node or not (importing or is_imported(target)):
        return
    signature = signature_of(target)
    if signature is None or not can_be_named(signature.target):
        return
    kept = list(args[: signature.positional_only])
    rest = args[signature.positional_only :]
    names = signature.positional[signature.positional_only :]
    named = dict(zip(names, rest, strict=False))
    kept += rest[len(named) :]
    given = {key: value for key, value in raw_items(node) if key not in ("_target_", "_args_")}
    twice = [name for name in named if name in given]
    if twice:
        raise TypeError(
            f"{target_name(target)}() got multiple values for argument {twice[0]!r}: {signature.brief}"
        )
    if len(args) > len(signature.positional) and not signature.any_position:
        count = f"takes {len(signature.positional)} positional arguments but {len(args)} were given"
        raise TypeError(f"{target_name(target)}() {count}: {signature.brief}")
    rest = {"_args_": tuple(kept)} if kept else {}
    raw_replace(node, {"_target_": target, **rest, **named, **given})


def call_specially(target: Any, /, **arguments: Any) -> Any:
    """Call a target with arguments that are built, the special ones among them."""
    args = tuple(arguments.pop("_args_", ()))
    for key in ("_recursive_", "_convert_"):
        arguments.pop(key, None)
    is_partial = arguments.pop("_partial_", False)
    if args:
        args, arguments = arrange(target, args, arguments)
    if is_partial:
        return partial(target, *args, **arguments)
    return target(*args, **arguments)


def arrange(
    target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments as they must be passed when some have no name: where others that come before
    `*args` have been given their names, these go by position too.

    Raises `TypeError` where one that comes before `*args` is missing.
    """
    signature = signature_of(target)
    if signature is None or not signature.any_position or not can_be_named(target):
        return args, kwargs
    only = signature.positional_only
    names = signature.positional[only:]
    if len(args) <= only or kwargs.keys().isdisjoint(names):
        return args, kwargs
    kwargs = dict(kwargs)
    front = list(args[:only])
    for name in names:
        if name in kwargs:
            front.append(kwargs.pop(name))
        elif (default := signature.parameters[name].default) is not signature.parameters[name].empty:
            front.append(default)
        else:
            raise TypeError(f"{target_name(target)}() is missing {name!r}, which comes before its *args")
    return (*front, *args[only:]), kwargs


def why_not(node: Node, key: str, value: Any = MISSING) -> str | None:
    """Return why the call that `node` records cannot take `key` (with this value); None when it can.

    For a plain dict, a target without a signature or one that cannot be imported the answer is None: nothing
    is known against it. The text ends with a suggestion: "Conv2d takes no argument 'bais'; did you mean
    'bias'?".
    """
    from lazycfg.config.signatures.types import misfit

    signature = None if key in SPECIAL else known_signature(node)
    if signature is None:
        return None
    if key not in signature.names:
        if signature.any_name:
            return None
        hint = closest(str(key), signature.candidates())
        return f"{target_name(signature.target)} takes no argument {key!r}{hint}"
    if value is MISSING or key not in signature.hints:
        return None
    return misfit(value, signature.hints[key], signature.parameters[key].default)


def named_later(node: dict[str, Any], key: Any) -> Any:
    """Return an argument that was given by position to a target that had not been imported then."""
    args = given_by_position(node)
    signature = known_signature(node) if args else None
    if signature is None or key not in signature.names or not can_be_named(signature.target):
        return MISSING
    names = signature.positional
    if key not in names or (signature.any_position and dict.keys(node) & set(names)):  # the rest of *args
        return MISSING
    at = names.index(key)
    return args[at] if at < len(args) else MISSING


def with_defaults(cfg: Node) -> Node:
    """Return a copy of a config in which every call has all arguments that its target has defaults for.

    So `${model.head.dropout}` leads to the default where the file leaves `dropout` out, and `merge` lets it
    count as in tools that keep defaults in the tree. Parameters that are positional-only, those that a class
    hands on to its base, and all of a `_partial_` call, are left out, as are texts that mean something else
    in a config ("???", `${...}`). Lists, dicts and sets are copied, so that a change stays in the config; any
    other default is that of the signature itself. What cannot be imported stays as it is.
    """
    result: Node = cfg.copy()
    for node, _, _ in plan(result):
        signature = known_signature(node)
        if signature is None or raw_get(node, "_partial_"):
            continue
        given = signature.positional[: len(given_by_position(node))]
        for name in signature.candidates():
            default: Any = signature.parameters[name].default
            if default is signature.parameters[name].empty or name in given or raw_contains(node, name):
                continue
            if name in signature.handed:  # the class itself may look at what it hands on
                continue
            if type(default) is str and ("${" in default or default == "???"):
                continue
            raw_set(node, name, _copied(default))
    return result


def _copied(default: Any) -> Any:
    """Return a default with containers of its own: what is written to them must not reach the signature."""
    kind = type(default)
    if kind is dict:
        return {key: _copied(value) for key, value in default.items()}
    return kind(map(_copied, default)) if kind in (list, tuple, set) else default
