"""What differs between two configs: `diff(a, b)`, as text and as the overrides that turn one into the
other.
"""

from __future__ import annotations

from lazycfg.config.editing.grammar import ImportRef, ShareRef
from lazycfg.config.errors import ConfigError
from lazycfg.config.tree.containers import children
from lazycfg.config.tree.node import Node
from lazycfg.config.tree.paths import MISSING, format_path, unlink
from lazycfg.config.tree.required import REQUIRED
from lazycfg.config.tree.targets import find_name
from lazycfg.inspection.equality import alike, kind_of, same_leaf_of, same_parts
from lazycfg.inspection.explain import short
from lazycfg.inspection.override_text import format_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from lazycfg.config.tree.paths import Link, Path


_MAX_DEPTH = 100  # of a value on a command line


class Change:
    """One difference.

    Attributes:
        kind: "changed", "added", "removed", "moved", "split" (was shared with `other`, now is its own), or
        "joined"
            (is now shared with `other`).
        path: where, as text; for "moved" the new place.
        old, new: the values.
        other: for "moved" the old path, for "split" and "joined" the path shared with.
    """

    __slots__ = ("kind", "new", "old", "other", "path")

    def __init__(self, kind: str, path: str, old: Any = None, new: Any = None, other: str = ""):
        self.kind = kind
        self.path = path
        self.old = old
        self.new = new
        self.other = other

    def __str__(self) -> str:
        path = self.path or "(the root)"
        if self.kind == "changed":
            old, new = short(self.old), short(self.new)
            code = ", with other code" if old == new and callable(self.new) else ""
            return f"~ {path}: {old} -> {new}{code}"
        if self.kind == "added":
            return f"+ {path} = {short(self.new)}"
        if self.kind == "removed":
            return f"- {path} = {short(self.old)}"
        if self.kind == "moved":
            return f"> {path}: moved from {self.other}"
        if self.kind == "split":
            return f"/ {path}: was shared with {self.other}, now its own: {short(self.new)}"
        return f"& {path}: now shared with {self.other}"

    def __repr__(self) -> str:
        return f"<Change {self}>"


class Diff:
    """The differences of two configs, in the order of the second; true when there are any. `str()` is the
    text.
    """

    def __init__(self, changes: list[Change], steps: list[tuple[str, Path, Any]]):
        self.changes = changes
        self._steps = steps

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __len__(self) -> int:
        return len(self.changes)

    def __iter__(self) -> Iterator[Change]:
        return iter(self.changes)

    def __str__(self) -> str:
        return "\n".join(map(str, self.changes)) or "no differences"

    def __repr__(self) -> str:
        return f"<Diff of {len(self.changes)} changes>\n{self}"

    def overrides(self) -> list[str]:
        """Return the overrides that turn the first config into the second, in the order in which they must be
        applied.

        Raises:
            ConfigError: a new value has no spelling on a command line (a lambda, an object), or a key has
                none in a config path (None, a float); all such are named.
        """
        texts, problems = [], []
        for operator, path, value in self._steps:
            place = format_path(path)
            odd = next((key for key in path if type(key) not in (str, int)), MISSING)
            if odd is not MISSING:
                problems.append(f"{place}: the key {odd!r} has no spelling in a config path")
                continue
            if place.startswith("-"):  # would be an option
                place = f"[{path[0]}]{place.removeprefix(str(path[0]))}"
            if operator == "~":
                texts.append(f"~{place}")
                continue
            try:
                texts.append(f"++{place}={format_value(value)}")
            except TypeError as error:
                problems.append(f"{place}: {error}")
        if problems:
            raise ConfigError("\n  ".join(["these differences cannot be written as overrides:", *problems]))
        return texts


def diff(first: Any, second: Any, *, importing: bool = True) -> Diff:
    """Compare two configs by structure.

    Functions and classes of config files are compared by what they say, so that two loads of one file do not
    differ; other callables by name, whether given as text or as the object; everything else by type and value
    (1 and 1.0 differ). Positions do not count.

    Two targets that are written differently, one as text, may still be the same: the text is imported to know
    that, unless `importing` is false.
    """
    comparison = _Comparison(importing)
    comparison.run(first, second)
    return Diff(comparison.changes, comparison.steps)


class _Comparison:
    """One run over two trees, without recursion into them."""

    def __init__(self, importing: bool) -> None:
        self._importing = importing
        self.changes: list[Change] = []
        self.steps: list[tuple[str, Path, Any]] = []
        self._first: dict[int, Link] = {}  # where a container of the first tree was met first
        # By id of a container of the second tree: the container of the first that it was met with, and where
        # it stands once the steps are done.
        self._partner: dict[int, int] = {}
        self._placed: dict[int, Link] = {}
        self._rewritten: set[int] = set()  # ids of lists of the second tree that a step writes as a whole
        self._removed: list[tuple[Link, Any, Change]] = []
        self._added: list[tuple[Link, Any, Change]] = []
        self._work: list[tuple[Link, Any, Any]] = []

    def run(self, first: Any, second: Any) -> None:
        """Compare, then find what has only moved."""
        self._work = [(None, first, second)]
        while self._work:
            path, old, new = self._work.pop()
            self._compare(path, old, new)
        self._find_moves()
        self.steps += [("~", unlink(path), None) for path, _, _ in reversed(self._removed)]

    def _compare(self, path: Link, old: Any, new: Any) -> None:
        if not alike(old, new):
            if not same_leaf_of(path[1] if path else "", old, new, self._importing):
                self.changes.append(Change("changed", _text(path), old, new))
                self._write(path, new)
            return
        if _mutable(old):
            if id(new) in self._placed:
                other = self._placed[id(new)]
                if self._partner.get(id(new)) == id(old) and id(new) in self._rewritten:
                    self.steps.append(("=", unlink(path), ShareRef(_text(other))))
                if self._partner.get(id(new)) != id(old):
                    self.changes.append(Change("joined", _text(path), old, new, _text(other)))
                    self.steps.append(("=", unlink(path), ShareRef(_text(other))))
                return
            if id(old) in self._first:
                other = self._first[id(old)]
                self.changes.append(Change("split", _text(path), old, new, _text(other)))
                self._write(path, new)
                return
            self._first[id(old)] = self._placed[id(new)] = path
            self._partner[id(new)] = id(old)
        if isinstance(old, dict):
            self._compare_dicts(path, dict(dict.items(old)), dict(dict.items(new)))
        elif kind_of(old) in (list, tuple):
            self._compare_sequences(path, old, new)
        else:
            pairs = zip(children(old) or (), children(new) or (), strict=False)
            self._work += reversed([((path, key), a, b) for (key, a), (_, b) in pairs])

    def _equal(self, old: Any, new: Any) -> bool:
        return same_parts(old, new, self._importing)

    def _compare_dicts(self, path: Link, old: dict[Any, Any], new: dict[Any, Any]) -> None:
        work = []
        for key, value in new.items():
            if key in old:
                work.append(((path, key), old[key], value))
            else:
                change = Change("added", _text((path, key)), new=value)
                self.changes.append(change)
                self._added.append(((path, key), value, change))
                self._write((path, key), value)
        for key, value in old.items():
            if key not in new:
                change = Change("removed", _text((path, key)), old=value)
                self.changes.append(change)
                self._removed.append(((path, key), value, change))
        self._work += reversed(work)

    def _compare_sequences(self, path: Link, old: Any, new: Any) -> None:
        """Compare lists: what both begin and end with stays; between, elements are compared one by one, and
        the rest was added or removed.
        """
        if len(old) == len(new):
            self._work += reversed([((path, i), old[i], new[i]) for i in range(len(new))])
            return
        head = 0
        while head < min(len(old), len(new)) and self._equal(old[head], new[head]):
            head += 1
        tail = 0
        while tail < min(len(old), len(new)) - head and self._equal(old[-1 - tail], new[-1 - tail]):
            tail += 1
        both = min(len(old), len(new)) - tail
        partner = {**{i: i for i in range(both)}, **{len(new) - 1 - i: len(old) - 1 - i for i in range(tail)}}
        for index in range(both, len(old) - tail):
            self.changes.append(Change("removed", _text((path, index)), old=old[index]))
        for index in range(both, len(new) - tail):
            self.changes.append(Change("added", _text((path, index)), new=new[index]))
        self._rearrange(path, old, new, partner)
        self._work += reversed([((path, i), old[partner[i]], new[i]) for i in sorted(partner)])

    def _rearrange(self, path: Link, old: Any, new: Any, partner: dict[int, int]) -> None:
        """Add a step that writes the whole list, with references to the elements that stay."""
        parts: list[Any] = []
        later: list[tuple[Link, Link]] = []
        for index, value in enumerate(new):
            if index not in partner:
                parts.append(self._spelling((path, index), value, path, later))
            elif children(old[partner[index]]) is not None:
                parts.append(ShareRef(_text((path, partner[index]))))
            else:
                parts.append(_leaf_spelling(old[partner[index]]))
        self.steps.append(("=", unlink(path), tuple(parts) if type(new) is tuple else parts))
        self._rewritten.add(id(new))
        self.steps += [("=", unlink(place), ShareRef(_text(other))) for place, other in later]

    def _write(self, path: Link, value: Any) -> None:
        later: list[tuple[Link, Link]] = []
        self.steps.append(("=", unlink(path), self._spelling(path, value, path, later)))
        self.steps += [("=", unlink(place), ShareRef(_text(other))) for place, other in later]

    def _spelling(
        self, path: Link, value: Any, top: Link, later: list[tuple[Link, Link]], depth: int = 0
    ) -> Any:
        """Return a value as overrides can say it. What is elsewhere already becomes a reference; what is
        shared only within the new value is put in its place by a step of its own, afterwards.
        """
        if children(value) is None:
            return _leaf_spelling(value)
        if _mutable(value):
            other = self._placed.get(id(value))
            if other is not None:
                if unlink(other)[: len(unlink(top))] == unlink(top):
                    later.append((path, other))
                    return None
                return ShareRef(_text(other))
            self._placed[id(value)] = path
        if depth > _MAX_DEPTH:
            return value
        if kind_of(value) in (dict, Node):
            items = dict.items(value)
            return {k: self._spelling((path, k), v, top, later, depth + 1) for k, v in items}
        if kind_of(value) in (list, tuple):
            return kind_of(value)(
                self._spelling((path, i), v, top, later, depth + 1) for i, v in enumerate(value)
            )
        return value  # has no spelling: format_value says so

    def _find_moves(self) -> None:
        """Take an added value that equals a removed one for one that was moved."""
        for _, value, change in self._added:
            if children(value) is None:
                continue
            for old_path, old, removed in self._removed:
                if children(old) is not None and removed in self.changes and self._equal(old, value):
                    change.kind, change.old, change.other = "moved", old, _text(old_path)
                    self.changes.remove(removed)
                    break


def _text(link: Link) -> str:
    return format_path(unlink(link))


def _mutable(value: Any) -> bool:
    return kind_of(value) in (Node, dict, list)


def _leaf_spelling(value: Any) -> Any:
    if value is REQUIRED:
        return "???"
    if callable(value):
        name = find_name(value)
        return value if name is None else ImportRef(str(name))
    return value
