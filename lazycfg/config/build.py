"""`instantiate(node)`: turn a tree of recorded calls into the objects they make."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial

from lazycfg.config.brief import target_name
from lazycfg.config.checking import Finder, ensure_target, prefix_link
from lazycfg.config.errors import CheckError
from lazycfg.config.history import top_of, writes_along
from lazycfg.config.node import Node, raw_set
from lazycfg.config.observe import Profile, Seeder
from lazycfg.config.origins import remember
from lazycfg.config.paths import format_path, unlink
from lazycfg.config.position import Position, position_of, writes_of
from lazycfg.config.signature import arrange
from lazycfg.config.traverse import plan, rebuild, refill, survey

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lazycfg.config.paths import Link
    from lazycfg.config.traverse import Survey

__all__ = ["instantiate"]


def instantiate(
    node: Any, /, *, seed: int | None = None, profile: bool | Profile = False, **extra: Any
) -> Any:
    """Build the object that `node` describes.

    Arguments are built before the call that needs them, left to right. A node that is reached several times
    is built once. Lists, tuples, dicts and dataclass objects arrive as what they are, with the nodes inside
    them built; any other object arrives itself. Before anything is built the whole tree is looked through for
    arguments that its targets do not take or lack, and for what is `REQUIRED` but not filled in.

    Args:
        node: a node, or a list, tuple or dict with nodes in it; anything else is returned as it is.
        seed: seed the random generators (`random`, numpy, torch) before every call with a number made
            from this one and the config path, so that adding a node does not change how the others are
            initialised. The state of the generators is put back afterwards.
        profile: print the time and memory that each call took; with a `Profile` they are put there instead.
        extra: arguments for the outermost call, in addition to or instead of the recorded ones. (Those named
            `seed` and `profile` must be written into the node.)

    Raises:
        CheckError: for what the first look found, all at once.
        Exception: what a constructor raises keeps its type and gains a note that says which node was being
            built.
    """
    direct: dict[str, Any] = {}
    top, start = top_of(node), prefix_link(node)
    if extra:
        node, direct = _with_extra(node, extra)
    finder = Finder()
    seen = survey(node, start, finder.resolve)
    finder.look(seen, literals=False)
    if finder.problems:
        raise CheckError(finder.sorted(node))
    if not seen.visits:
        return node
    if seed is None and profile is False:
        return _build(seen, direct, top, None, None)
    meter = Profile() if profile is True else profile or None
    with Seeder(seed) if seed is not None else nullcontext() as seeder:
        result = _build(seen, direct, top, seeder, meter)
    if profile is True:
        print(meter)
    return result


def _build(
    seen: Survey, direct: dict[str, Any], top: Any, seeder: Seeder | None, meter: Profile | None
) -> Any:
    """Make all calls of a survey, in its order; the last result is that of the root."""
    shared = seen.shared
    result = value = target = link = None
    made: list[tuple[Any, Node, Link]] = []
    watched = seeder is not None or meter is not None
    try:
        for value, contents, link, above in seen.visits:
            if type(value) is Node:
                if above is None:
                    contents.update(direct)
                target = contents.pop("_target_", None)
                if target is None:
                    result = contents
                elif watched:
                    result = _watched_call(target, contents, value, link, seeder, meter)
                elif type(target) is type and "_args_" not in contents and "_partial_" not in contents:
                    result = target(**contents)
                else:
                    result = _call(ensure_target(target), contents)
                made.append((result, value, link))
            else:
                target = None
                result = refill(value, contents)
            if above is not None and link is not None:
                above[link[1]] = result
            if id(value) in shared:
                for place, key in shared[id(value)]:
                    place[key] = result
    except Exception as error:
        if target is not None and type(value) is Node:
            error.add_note(_note(value, target, link, top))
        raise
    remember(made)
    return result


def _watched_call(
    target: Any,
    arguments: dict[str, Any],
    node: Node,
    link: Link,
    seeder: Seeder | None,
    meter: Profile | None,
) -> Any:
    target = ensure_target(target)
    if seeder is not None:
        seeder.before_call(link)
    if meter is not None:
        meter.before_call()
    result = _call(target, arguments)
    if meter is not None:
        meter.after_call(node, link)
    return result


def _call(target: Any, arguments: dict[str, Any]) -> Any:
    """Call a target with arguments that are built, the special keys among them."""
    args = arguments.pop("_args_", ())
    if args:
        args, arguments = arrange(target, tuple(args), arguments)
    if arguments.pop("_partial_", False):
        return partial(target, *args, **arguments)
    return target(*args, **arguments)


def _note(node: Node, target: Any, link: Link, top: Any) -> str:
    """Which node failed, where it was written and who changed it, or put it there, since."""
    path = unlink(link)
    where = position_of(node)
    written = "" if where is None else f", written at {where}"
    name = target_name(target, full=True)
    shown = repr(format_path(path)) if path else "(the root)"
    lines = [f"while building config path {shown}: {name}{written}"]
    changes = [*writes_along(top, path), *(((*path, w.key), w) for w in writes_of(node))]
    for place, write in changes[-8:]:
        verb = "set at" if isinstance(write.origin, Position) else "set by"
        lines.append(f"  {format_path(place)} {verb} {write.origin}")
    return "\n".join(lines)


def _with_extra(node: Any, extra: dict[str, Any]) -> tuple[Node, dict[str, Any]]:
    """A copy of the outermost node with more arguments, and those of them that are passed on as they are:
    only what has nodes in it is rebuilt."""
    from lazycfg.config.signature import bind_positional

    if type(node) is not Node:
        raise TypeError(f"extra arguments need a node to be given to, not {type(node).__name__}")
    result: Node = rebuild(node, {})
    bind_positional(result)
    direct = {}
    for key, value in extra.items():
        raw_set(result, key, value)
        if all(type(inner) is not Node for inner, _, _ in plan(value)):
            direct[key] = value
    return result, direct
