"""`instantiate(node)`: turn a tree of recorded calls into the objects they make."""

from __future__ import annotations

from contextlib import nullcontext

from lazycfg.config.brief import target_name
from lazycfg.config.checking import Finder, prefix_link
from lazycfg.config.errors import CheckError
from lazycfg.config.node import Node, raw_get, raw_set
from lazycfg.config.observe import Profile, Seeder
from lazycfg.config.paths import format_path, unlink
from lazycfg.config.provenance.history import top_of, writes_along
from lazycfg.config.provenance.origins import remember
from lazycfg.config.provenance.position import Position, position_of, writes_of
from lazycfg.config.quick import Calls, call_specially, gather
from lazycfg.config.signature import resolve_target
from lazycfg.config.traverse import plan, rebuild, refill, survey

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from lazycfg.config.paths import Link

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
    calls = gather(node, start) or _looked_through(node, start)
    if calls is None:
        return node
    if seed is None and profile is False:
        return _build(calls, direct, top, None, None)
    meter = Profile() if profile is True else profile or None
    with Seeder(seed) if seed is not None else nullcontext() as seeder:
        result = _build(calls, direct, top, seeder, meter)
    if profile is True:
        print(meter)
    return result


def _looked_through(node: Any, start: Link) -> Calls | None:
    """All calls of a tree in which there may be anything; None when there is nothing to build."""
    finder = Finder()
    seen = survey(node, start, finder.resolve)
    finder.look(seen, literals=False)
    if finder.problems:
        raise CheckError(finder.sorted(node))
    if not seen.visits:
        return None
    calls = Calls()
    calls.shared = seen.shared
    for value, contents, link, above in seen.visits:
        make = None
        if type(value) is Node and (target := contents.get("_target_")) is not None:
            make = _call_built
            if type(target) is type and "_args_" not in contents and "_partial_" not in contents:
                make = contents.pop("_target_")
        calls.calls.append((make, contents, above, link, value))
    return calls


def _call_built(**arguments: Any) -> Any:
    """Make a call of which the target may have been built too."""
    return call_specially(resolve_target(arguments.pop("_target_")), **arguments)


def _build(
    calls: Calls, direct: dict[str, Any], top: Any, seeder: Seeder | None, meter: Profile | None
) -> Any:
    """Make all calls, in their order; the last result is that of the root."""
    shared = calls.shared
    result: Any = None
    make = value = link = None
    made: list[Any] = []
    watched = seeder is not None or meter is not None
    if direct:
        (calls.calls[-1][1] if calls.root is None else calls.root).update(direct)
    try:
        for make, contents, above, link, value in calls.calls:
            if make is None:
                result = contents if type(value) is Node else refill(value, contents)
            else:
                if watched:
                    result = _watched_call(make, contents, value, link, seeder, meter)
                else:
                    result = make(**contents)
                made.append(result)
            if above is not None:
                above[link[1]] = result  # type: ignore[index]
            if shared and id(value) in shared:
                for place, key in shared[id(value)]:
                    place[key] = result
    except Exception as error:
        if make is not None and type(value) is Node:
            error.add_note(_note(value, link, top))
        raise
    remember(made, calls.calls)
    return result if calls.root is None else calls.root


def _watched_call(
    make: Callable[..., Any],
    arguments: dict[str, Any],
    node: Node,
    link: Link,
    seeder: Seeder | None,
    meter: Profile | None,
) -> Any:
    if seeder is not None:
        seeder.before_call(link)
    if meter is not None:
        meter.before_call()
    result = make(**arguments)
    if meter is not None:
        meter.after_call(node, link)
    return result


def _note(node: Node, link: Link, top: Any) -> str:
    """Which node failed, where it was written and who changed it, or put it there, since."""
    path = unlink(link)
    where = position_of(node)
    written = "" if where is None else f", written at {where}"
    name = target_name(raw_get(node, "_target_"), full=True)
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
