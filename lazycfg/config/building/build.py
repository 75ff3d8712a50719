"""`instantiate(node)`: turn a tree of recorded calls into the objects they make."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial

from lazycfg.config.building.built import remember
from lazycfg.config.building.check import Checker
from lazycfg.config.building.problems import CheckError
from lazycfg.config.building.profiling import Profile, Seeder
from lazycfg.config.building.raising import own_code
from lazycfg.config.signatures.binding import call_specially
from lazycfg.config.signatures.places import writes_along
from lazycfg.config.tree.chains import prefix_link, top_of
from lazycfg.config.tree.lazy_call import lacks_its_call
from lazycfg.config.tree.node import SPECIAL, Node, raw_contains, raw_get, raw_set
from lazycfg.config.tree.parents import overlay
from lazycfg.config.tree.paths import format_path, unlink
from lazycfg.config.tree.position import Position, position_of, writes_of
from lazycfg.config.tree.targets import resolve_target, target_name
from lazycfg.config.tree.traversal import plan, refill, survey

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from lazycfg.config.tree.paths import Link
    from lazycfg.config.tree.traversal import Survey


def instantiate(
    node: Any, /, *, seed: int | None = None, profile: bool | Profile = False, **extra: Any
) -> Any:
    """Build the object that `node` describes.

    Arguments are built before the call that needs them, left to right. A node that is reached several times
    is built once. Lists, tuples, dicts, and objects of dataclasses and attrs classes arrive as what they are,
    with the nodes inside them built; any other object arrives itself. A dict with a `_target_` is built like
    a node, and so is a `DictConfig`. A node with `_recursive_=False` is given the nodes inside it as they
    are. Before anything is built the whole tree is looked through for arguments that its targets do not take
    or lack, and for what is `REQUIRED` but not filled in.

    Args:
        node: a node, or a list, tuple or dict with nodes in it; anything else is returned as it is, also a
            dict that has nothing to build in it.
        seed: seed the random generators (`random`, numpy, torch) before every call with a number made
            from this one and the config path, so that adding a node does not change how the others are
            initialised. The state of the generators is put back afterwards.
        profile: print the time and memory that each call took; with a `Profile` they are put there instead.
        extra: arguments for the outermost call, in addition to or instead of the recorded ones, such as
            `_recursive_=False`. (Those named `seed` and `profile` must be written into the node.)

    Raises:
        CheckError: for what the first look found, all at once.
        Exception: what a constructor raises keeps its type and gains a note that says which node was being
            built.
    """
    from lazycfg.config.tree.from_omegaconf import as_ours

    node = as_ours(node)
    top, start = top_of(node), prefix_link(node)
    direct: dict[str, Any] = {}
    if extra:
        node, direct = _with_extra(node, extra)
    checker = Checker()
    seen = survey(node, start, checker.resolve, building=True)
    if lacks_its_call(node):
        seen.odd.append((node, None, start))
    checker.look(seen, literals=False)
    if checker.problems:
        raise CheckError(checker.sorted(node))
    if not seen.visits or (type(node) is dict and _is_plain(node)):
        return node
    meter = Profile() if profile is True else profile or None
    with Seeder(seed) if seed is not None else nullcontext() as seeder:
        result = _build(seen, direct, top, [watcher for watcher in (seeder, meter) if watcher is not None])
    if profile is True:
        print(meter)
    return result


_SPECIAL = frozenset(SPECIAL) - {"_target_"}


def _build(seen: Survey, direct: dict[str, Any], top: Any, watchers: list[Seeder | Profile]) -> Any:
    """Make everything that was visited, in that order; the last one is the root."""
    shared = seen.shared
    built: list[tuple[Any, Node, Link]] = []
    result: Any = None
    call: Node | None = None
    link: Link = None
    last = len(seen.visits) - 1
    try:
        for at, (value, contents, link, above) in enumerate(seen.visits):
            call = None
            if at == last and direct:
                contents.update(direct)
            if type(value) is not Node:
                result = refill(value, contents)
            elif "_target_" not in contents:
                result = contents
            else:
                call = value
                target: Any = contents.pop("_target_")
                if type(target) is not type:
                    target = resolve_target(target)
                if not _SPECIAL.isdisjoint(contents):
                    target = partial(call_specially, target)
                for watcher in watchers:
                    watcher.before_call(link)
                result = target(**contents)
                for watcher in watchers:
                    watcher.after_call(value, link)
                built.append((result, value, link))
            if above is not None and link is not None:
                above[link[1]] = result
            if id(contents) in shared:
                for place, key in shared[id(contents)]:
                    place[key] = result
    except Exception as error:
        if call is not None:
            error.add_note(_note(call, link, top, error) + _nearest_name(error, call))
        raise
    remember(built)
    return result


def _is_plain(root: dict[Any, Any]) -> bool:
    """Return whether there is nothing to build or resolve in a dict."""
    for value, contents, _ in plan(root):
        if type(value) is Node or (isinstance(value, dict) and "_target_" in value):
            return False
        for child in contents.values() if type(contents) is dict else contents:
            if type(child) is str and "${" in child:
                return False
    return True


def _note(node: Node, link: Link, top: Any, error: Exception) -> str:
    """Return which node failed, where it was written, where in the user's own code the error was raised, and
    who changed the node, or put it there, since it was written.
    """
    path = unlink(link)
    where = position_of(node)
    name = target_name(raw_get(node, "_target_"), full=True)
    shown = repr(format_path(path)) if path else "(the root)"
    lines = [f"while building config path {shown}: {name}"]
    if where is not None:
        lines.append(f"  written at {where}")
    raised = own_code(error.__traceback__)
    if raised and not any(raised in note for note in getattr(error, "__notes__", ())):
        lines.append(f"  {raised}")
    changes = [*writes_along(top, path), *(((*path, w.key), w) for w in writes_of(node))]
    for place, write in changes[-8:]:
        verb = "set at" if isinstance(write.origin, Position) else "set by"
        lines.append(f"  {format_path(place)} {verb} {write.origin}")
    return "\n".join(lines)


def _nearest_name(error: Exception, node: Node) -> str:
    """Return a hint where a class hands an argument on to a base, and that has no such parameter."""
    if type(error) is not TypeError or "unexpected keyword argument" not in str(error):
        return ""
    from lazycfg.config.signatures.callables import signature_of
    from lazycfg.config.suggest import did_you_mean

    name = str(error).rpartition("argument ")[2].strip("'")
    target = resolve_target(raw_get(node, "_target_"))
    if not raw_contains(node, name) or not isinstance(target, type):
        return ""
    known = [each for each in map(signature_of, target.__mro__) if each is not None]
    names = dict.fromkeys(name for each in known for name in each.candidates())
    hint = did_you_mean(name, [name for name in names if not raw_contains(node, name)])
    return f"\n  {name!r} is no argument of it{hint}" if hint else ""


def _with_extra(node: Any, extra: dict[str, Any]) -> tuple[Node, dict[str, Any]]:
    """Return a copy of the outermost node with more arguments, and those of them that are passed on as they
    are: only what has nodes in it is made anew.
    """
    from lazycfg.config.signatures.binding import bind_positional

    if type(node) is dict and "_target_" in node:
        node = Node(node)
    if type(node) is not Node:
        raise TypeError(f"extra arguments need a node to be given to, not {type(node).__name__}")
    result = overlay(node)
    bind_positional(result)
    direct = {}
    for key, value in extra.items():
        raw_set(result, key, value)
        if key not in SPECIAL and all(type(inner) is not Node for inner, _, _ in plan(value)):
            direct[key] = value
    return result, direct
