"""`instantiate(node)`: turn a tree of recorded calls into the objects they make."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial

from lazycfg.config.brief import target_name
from lazycfg.config.calls import Calls
from lazycfg.config.checking import Finder, prefix_link
from lazycfg.config.errors import CheckError
from lazycfg.config.gathering import call_specially, gather, is_special
from lazycfg.config.node import Node, raw_get, raw_set
from lazycfg.config.observe import Profile, Seeder
from lazycfg.config.paths import format_path, unlink
from lazycfg.config.provenance.history import top_of, writes_along
from lazycfg.config.provenance.origins import remember
from lazycfg.config.provenance.position import Position, position_of, writes_of
from lazycfg.config.signature import resolve_target
from lazycfg.config.traverse import plan, rebuild, refill, survey

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from lazycfg.config.calls import Call
    from lazycfg.config.paths import Key, Link

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
    entries = calls.entries
    if not entries:
        return node
    if direct:
        make, arguments, inner, place = entries[-1]
        inner = [(key, at) for key, at in inner if key not in direct]
        entries = [*entries[:-1], (make, {**arguments, **direct}, inner, place)]
    if seed is None and profile is False:
        return _build(entries, top, None, None)
    meter = Profile() if profile is True else profile or None
    with Seeder(seed) if seed is not None else nullcontext() as seeder:
        result = _build(entries, top, seeder, meter)
    if profile is True:
        print(meter)
    return result


def _looked_through(node: Any, start: Link) -> Calls:
    """All calls of a tree in which there may be anything."""
    finder = Finder()
    seen = survey(node, start, finder.resolve)
    finder.look(seen, literals=False)
    if finder.problems:
        raise CheckError(finder.sorted(node))
    calls = Calls(start)
    entries: Any = calls.entries
    inner: dict[int, list[tuple[Key, int]]] = {}  # by id of the contents that they stand in
    for at, (value, contents, link, above) in enumerate(seen.visits):
        if above is not None and link is not None:
            inner.setdefault(id(above), []).append((link[1], at))
        if seen.shared and id(value) in seen.shared:
            for place, key in seen.shared[id(value)]:
                inner.setdefault(id(place), []).append((key, at))
        make: Any = None
        call = value if type(value) is Node and contents.get("_target_") is not None else None
        if call is not None:
            make = _call_built
            if type(contents["_target_"]) is type and not is_special(contents):
                make = contents.pop("_target_")
        elif type(value) is not Node:
            make = partial(refill, value)
        entries.append((make, contents, inner.get(id(contents), ()), (call, link)))
    return calls


def _call_built(**arguments: Any) -> Any:
    """Make a call of which the target may have been built too."""
    return call_specially(resolve_target(arguments.pop("_target_")), **arguments)


def _build(entries: list[Call], top: Any, seeder: Seeder | None, meter: Profile | None) -> Any:
    """Make all entries, in their order; the last one is the root."""
    made: list[Any] = []
    built: list[Any] = []  # what the calls among them gave
    watched = seeder is not None or meter is not None
    make: Callable[..., Any] | None = None
    node: Node | None = None
    link: Link = None
    try:
        for make, contents, inner, (node, link) in entries:
            if inner:
                contents = contents.copy()  # the entries may be used again
                for key, at in inner:
                    contents[key] = made[at]
            if make is None:
                made.append(contents if inner else contents.copy())
            elif node is None:
                made.append(make(contents))
            else:
                if watched:
                    result = _watched_call(make, contents, node, link, seeder, meter)
                else:
                    result = make(**contents)
                made.append(result)
                built.append(result)
    except Exception as error:
        if make is not None and node is not None:
            error.add_note(_note(node, link, top))
        raise
    remember(built, entries)
    return made[-1]


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
