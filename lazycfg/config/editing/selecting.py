"""Select many places of a config at once, and edit them: `select(cfg, nn.BatchNorm2d).set(eps=1e-3)`."""

from __future__ import annotations

from lazycfg.config.editing.matching import find_holders, key_matches, keys_below
from lazycfg.config.errors import ConfigError, TargetError, with_article
from lazycfg.config.signatures.binding import why_not
from lazycfg.config.tree.lazy_call import lacks_its_call
from lazycfg.config.tree.node import SPECIAL, Node, as_assigned, is_call, raw_get, raw_items, raw_set
from lazycfg.config.tree.paths import format_path, link_of, parse_path, unlink
from lazycfg.config.tree.position import record_write
from lazycfg.config.tree.repr import short_repr
from lazycfg.config.tree.targets import resolve_target, target_name
from lazycfg.config.tree.traversal import plan, rebuild, walk_links

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from lazycfg.config.tree.paths import Link


class SelectError(ConfigError, LookupError):
    """A selection that matches nothing, or an edit that one of the selected places cannot take."""


def select(
    cfg: Any,
    what: Any = None,
    *,
    where: Callable[[Any], object] | None = None,
    subclasses: bool = True,
    allow_empty: bool = False,
) -> Selection:
    """Return the places of a config tree that match.

    Args:
        cfg: the config.
        what: a class or function, to find the nodes that call it (a class: its subclasses too); or a path
            with wildcards (`"model.**.conv?"`, `"**.Conv2d.bias"`), to find any values; None for all nodes.
        where: a predicate over the values found; only those are kept for which it is true.
        subclasses: whether nodes of subclasses of the class count.
        allow_empty: otherwise a selection that is empty is an error, which says what there is.

    Raises:
        SelectError: nothing matches.
    """
    if isinstance(what, str):
        found = _by_path(cfg, what)
    else:
        found = [
            (link, value) for link, value in _nodes(cfg) if what is None or _calls(value, what, subclasses)
        ]
    if where is not None:
        found = [(link, value) for link, value in found if where(value)]
    if not found and not allow_empty:
        raise SelectError(_nothing(cfg, what, where))
    return Selection(cfg, found)


def _nodes(cfg: Any) -> list[tuple[Link, Node]]:
    """Return all call nodes in the order of the tree, each once."""
    seen: set[int] = set()
    found = []
    for link, value in walk_links(cfg):
        if is_call(value) and id(value) not in seen:
            seen.add(id(value))
            found.append((link, value))
    return found


def _calls(node: Node, what: Any, subclasses: bool) -> bool:
    target = raw_get(node, "_target_")
    if type(target) is str:
        try:
            target = resolve_target(target)
        except TargetError:
            return False
    if target is what or (type(target) is not Node and target == what):
        return True
    return subclasses and isinstance(what, type) and isinstance(target, type) and issubclass(target, what)


def _by_path(cfg: Any, pattern: str) -> list[tuple[Link, Any]]:
    keys = parse_path(pattern)
    if not keys:
        return [(None, cfg)]
    found: dict[tuple[Any, ...], Any] = {}
    last = keys[-1]
    if last == "**":
        raise SelectError(
            f"{pattern!r}: ** stands for the way to something; name what follows, or write **.*"
        )
    for path, holder, _ in find_holders(cfg, keys[:-1]):
        for key, child in keys_below(holder):
            is_target = is_call(child) and target_name(raw_get(child, "_target_")) == last
            if key_matches(key, last, holder) or is_target:
                found[(*path, key)] = child
    return [(link_of(path), value) for path, value in found.items()]


def _nothing(cfg: Any, what: Any, where: Any) -> str:
    from lazycfg.config.suggest import closest

    if isinstance(what, str):
        names = {str(link[1]) for link, _ in walk_links(cfg) if link is not None}
        names |= {target_name(raw_get(node, "_target_")) for _, node in _nodes(cfg)}
        word = next((str(k) for k in reversed(parse_path(what)) if "*" not in str(k)), what)
        return f"nothing in the config matches {what!r}{closest(word, sorted(names))}"
    wanted = "any node" if what is None else f"a node that calls {target_name(what)}"
    names = {target_name(raw_get(node, "_target_")) for _, node in _nodes(cfg)}
    hint = "" if where is not None else closest(target_name(what) if what is not None else "", sorted(names))
    return f"nothing in the config is {wanted}{' of that kind' if where is not None else ''}{hint}"


class Selection:
    """Places of a config: (path, value) pairs in the order of the tree.

    Iterating gives pairs of the path as text and the value. A node that is in several places is selected
    once.
    """

    def __init__(self, cfg: Any, found: list[tuple[Link, Any]]):
        self._cfg = cfg
        self._found = found

    def __len__(self) -> int:
        return len(self._found)

    def __bool__(self) -> bool:
        return bool(self._found)

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter([(_text(link), value) for link, value in self._found])

    def __repr__(self) -> str:
        lines = [f"{_text(link) or '(the root)'} = {value!r}" for link, value in self._found]
        return "\n".join([f"{len(lines)} selected:", *(f"  {line}" for line in lines)])

    @property
    def paths(self) -> list[str]:
        """Return the config paths as text."""
        return [_text(link) for link, _ in self._found]

    @property
    def values(self) -> list[Any]:
        """Return the values that were selected."""
        return [value for _, value in self._found]

    def get(self, key: str, default: Any = None) -> list[Any]:
        """Return the value of one argument in each selected node."""
        return [value.get(key, default) for _, value in self._found if isinstance(value, dict)]

    def set(self, **arguments: Any) -> Selection:
        """Set arguments of every selected node; nothing is set when one of the nodes cannot take one of them.

        Raises `SelectError`, which names all that cannot.
        """
        problems = []
        for link, value in self._found:
            if type(value) is not Node:
                kind = with_article(type(value).__name__)
                problems.append(f"{_text(link)}: {kind} has no arguments; use replace()")
                continue
            for key, new in arguments.items():
                reason = why_not(value, key, new)
                if reason is not None:
                    problems.append(f"{_text((link, key))}: {reason}")
        if problems:
            raise SelectError("\n  ".join(["cannot set the selected arguments:", *problems]))
        for _, value in self._found:
            for key, new in arguments.items():
                stored = as_assigned(new)
                record_write(value, key, stored, depth=2)
                raw_set(value, key, stored)
        return self

    def replace(self, new: Any) -> Selection:
        """Put something else in the place of every selected value, wherever the same object is.

        Args:
            new: the new value, copied for each if it is a node; or a class, which becomes the target of the
                selected calls (their arguments stay); or a function that is given the old value and returns
                the new one (to put a function in place, give `lambda old: function`).

        Returns:
            the selection of the new values.

        Raises:
            SelectError: a selected value is not a call, or its arguments do not fit the class; nothing is
                replaced. Or `new` is an `L(Class)` without the second pair of parentheses.
        """
        if lacks_its_call(new):
            name = target_name(new.__self__)
            raise SelectError(f"L({name}) is not a node yet; write L({name})(...), or {name} for the target")
        if isinstance(new, type):
            return self._retarget(new)
        made: dict[int, Any] = {}
        by_place: dict[tuple[Any, ...], Any] = {}
        replaced: list[tuple[Link, Any]] = []
        for link, value in self._found:
            fresh = new(value) if callable(new) else new.copy() if type(new) is Node else new
            fresh = as_assigned(fresh)
            if link is None:
                raise SelectError("the whole config cannot be replaced: there is nothing that holds it")
            if _has_identity(value):
                made[id(value)] = fresh
            else:
                by_place[unlink(link)] = fresh
            replaced.append((link, fresh))
        self._replace_in_place(made, by_place)
        return Selection(self._cfg, replaced)

    def _retarget(self, target: type) -> Selection:
        """Make a class the target of every selected call."""
        problems = []
        for link, value in self._found:
            if not is_call(value):
                problems.append(f"{_text(link)}: {short_repr(value)} is not a call")
                continue
            trial = Node({**dict(raw_items(value)), "_target_": target})
            reasons = [why_not(trial, key, part) for key, part in raw_items(value) if key not in SPECIAL]
            problems += [f"{_text(link)}: {reason}" for reason in reasons if reason is not None]
        if problems:
            raise SelectError("\n  ".join([f"cannot make {target_name(target)} the target:", *problems]))
        for _, value in self._found:
            record_write(value, "_target_", target, depth=3)
            raw_set(value, "_target_", target)
        return self

    def _replace_in_place(self, made: dict[int, Any], by_place: dict[tuple[Any, ...], Any]) -> None:
        """Go through the tree from the leaves up; tuples and the like above a new value are rebuilt."""
        selected = {id(value) for _, value in self._found}
        for container, contents, link in plan(self._cfg):
            here = unlink(link) if by_place else ()
            if id(container) in selected and id(container) in made:
                continue
            changes = {}
            for key, child in contents.items() if isinstance(contents, dict) else enumerate(contents):
                if (*here, key) in by_place and id(child) not in made:
                    changes[key] = by_place[(*here, key)]
                elif id(child) in made:
                    changes[key] = made[id(child)]
            if not changes:
                continue
            if type(container) is Node:
                for key, value in changes.items():
                    record_write(container, str(key), value, depth=3)
                    raw_set(container, key, value)
            elif isinstance(container, (list, dict)):
                for key, value in changes.items():
                    container[key] = value
            else:
                made[id(container)] = rebuild(container, changes)


def _text(link: Link) -> str:
    return format_path(unlink(link))


def _has_identity(value: Any) -> bool:
    return type(value) is Node or isinstance(value, (list, dict))
