"""A config as a graph of boxes: one box for each call, its arguments as lines in it, what they hold to the
right of it.

`boxes_of` makes the boxes, `place` gives them their places; `graph_drawing` draws them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

from lazycfg.config.errors import ConfigError
from lazycfg.config.tree.access import get_path
from lazycfg.config.tree.containers import children
from lazycfg.config.tree.interpolation import limited_resolvers
from lazycfg.config.tree.node import Node, is_call, raw_get
from lazycfg.config.tree.paths import format_path
from lazycfg.config.tree.position import position_of
from lazycfg.config.tree.repr import short_repr
from lazycfg.config.tree.required import is_required
from lazycfg.config.tree.targets import target_name
from lazycfg.config.tree.traversal import plan
from lazycfg.inspection.html_view import origin_text, written_by

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lazycfg.config.tree.paths import Path

CHAR, LINE, TITLE = 7.25, 17, 24  # width of a character, heights of a line and of a title, in pixels
PAD = 10
GAP_X, GAP_Y = 56, 14
_LONGEST = 52
_DEEPEST = 100  # nobody looks further to the right
_SPECIAL = ("_target_", "_partial_")


def columns(text: str) -> int:
    """Return the columns that a text takes in a font whose letters are all of one width."""
    wide = 0 if text.isascii() else sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide


class Line:
    """One argument in a box.

    Attributes:
        key: its name; with dots or brackets, where it is inside a plain dict or list.
        text: its value, cut short; empty when it is the box to the right.
        full: the value in full, for a tooltip.
        kind: "value", "required", "child" or "shared".
        who: who set it after it was written, or "".
        child: the box that it holds, or None.
        shared: the box that it shares with another place, or None.
    """

    __slots__ = ("child", "full", "key", "kind", "shared", "text", "who")

    def __init__(self, key: str, text: str = "", kind: str = "value", full: str = "", who: str = ""):
        self.key = key
        self.text = text
        self.kind = kind
        self.full = full
        self.who = who
        self.child: Box | None = None
        self.shared: Box | None = None

    @property
    def length(self) -> int:
        """Return characters that it takes; a Chinese, Japanese or Korean one takes the room of two."""
        text = 2 + columns(self.text) if self.text else 0
        return columns(self.key) + text + (4 if self.shared else 0)


class Box:
    """One call, or a dict with calls in it.

    Attributes:
        title: the name of its target; of a dict its own key.
        group: the package of the target, which decides its colour; "" for a dict.
        hint: a tooltip: the whole name of the target, the path and the place.
        lines: its arguments.
        mark: a number when it is at several places, else 0.
        depth: how many boxes are to its left.
        x, y, width, height: its place, in pixels.
    """

    __slots__ = (
        "depth",
        "group",
        "height",
        "hint",
        "index",
        "lines",
        "mark",
        "path",
        "title",
        "width",
        "x",
        "y",
    )

    def __init__(self, title: str, group: str, hint: str, path: Path, depth: int):
        self.title = title
        self.group = group
        self.hint = hint
        self.path = path
        self.depth = depth
        self.lines: list[Line] = []
        self.mark = 0
        self.index = 0
        self.x = self.y = self.width = self.height = 0.0

    def children(self) -> list[Box]:
        """Return the boxes inside."""
        return [line.child for line in self.lines if line.child is not None]

    def measure(self) -> None:
        """Decide on width and height."""
        title = columns(self.title) + (4 if self.mark else 0) + 2
        longest = max([title * 1.05, *(line.length for line in self.lines)])
        self.width = round(max(longest * CHAR, 90) + 2 * PAD)
        self.height = TITLE + (LINE * len(self.lines) + 6 if self.lines else 0)


class Graph:
    """All boxes, parents before children; the first is the config itself."""

    __slots__ = ("boxes",)

    def __init__(self, boxes: list[Box]):
        self.boxes = boxes

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height that the boxes take."""
        return (
            round(max(box.x + box.width for box in self.boxes)),
            round(max(box.y + box.height for box in self.boxes)),
        )


def boxes_of(cfg: Any, *, title: str = "config", max_depth: int | None = None) -> Graph:
    """Return the boxes of a config.

    Args:
        cfg: a node or a container of nodes.
        title: of the box of the config itself, when it is no call.
        max_depth: leave out boxes that have more than so many boxes to their left.

    Raises:
        CycleError: the config contains itself.
    """
    maker = _Maker(cfg, max_depth)
    maker.box(cfg, (), title, 0)
    maker.connect()
    for index, box in enumerate(maker.boxes):
        box.index = index
        box.measure()
    return Graph(maker.boxes)


class _Maker:
    def __init__(self, cfg: Any, max_depth: int | None) -> None:
        self.cfg = cfg
        self.max_depth = _DEEPEST if max_depth is None else min(max_depth, _DEEPEST)
        self.boxes: list[Box] = []
        self.made: dict[int, Box] = {}
        self.first: dict[int, Path] = {}
        self.waiting: list[tuple[Line, int]] = []  # lines that share the box of a container with this id
        self.holds_calls: set[int] = set()
        for value, contents, _ in plan(cfg):  # children first; refuses a config that contains itself
            inner = contents.values() if type(contents) is dict else contents
            if is_call(value) or any(id(child) in self.holds_calls for child in inner):
                self.holds_calls.add(id(value))

    def box(self, value: Any, path: Path, key: str, depth: int) -> Box:
        """Return the box of a container at a path."""
        box = Box(*_heading(value, path, key), path, depth)
        self.boxes.append(box)
        self.made[id(value)] = box
        for name, child in _items(value):
            box.lines += self.lines(value, name, child, _name(name), (*path, name), depth)
        if depth == self.max_depth:
            for line in box.lines:
                if line.kind == "child":
                    line.text = "..."
        return box

    def lines(self, holder: Any, name: Any, child: Any, key: str, path: Path, depth: int) -> Iterator[Line]:
        """Yield the lines of one argument: one, or several for a plain dict or a list with calls in it."""
        who = ""
        write = written_by(holder, name)
        if write is not None:
            who = origin_text(write.origin)
        if id(child) in self.first and type(child) is Node:
            line = Line(key, format_path(self.first[id(child)]), "shared", who=who)
            self.waiting.append((line, id(child)))
            yield line
        elif type(child) is Node and (id(child) in self.holds_calls or is_call(child)):
            self.first[id(child)] = path
            line = Line(key, kind="child", who=who)
            if depth < self.max_depth:
                line.child = self.box(child, path, key, depth + 1)
            yield line
        elif (id(child) in self.holds_calls or (type(child) is Node and len(child))) and len(
            path
        ) < 2 * _DEEPEST:
            self.first[id(child)] = path
            for inner, part in _items(child):
                joined = f"{key}[{inner}]" if isinstance(inner, int) else f"{key}.{inner}"
                yield from self.lines(child, inner, part, joined, (*path, inner), depth)
        else:
            yield self.leaf(key, child, path, who)

    def leaf(self, key: str, value: Any, path: Path, who: str) -> Line:
        """Return the line of a value."""
        if is_required(value):
            return Line(key, "REQUIRED", "required", who=who)
        text = full = short_repr(value)
        if type(value) is str and "${" in value and ":" not in value:
            try:
                with limited_resolvers():
                    found = get_path(self.cfg, path)
            except (ConfigError, RecursionError):
                found = value
            if type(found) is Node:
                line = Line(key, _cut(text), "shared", full, who)
                self.waiting.append((line, id(found)))
                return line
            text = full = f"{text} = {short_repr(found)}"
        return Line(key, _cut(text), "value", full if len(full) > _LONGEST else "", who)

    def connect(self) -> None:
        """Lead the lines of what is shared to its box, and number the boxes that are shared."""
        for line, mark in self.waiting:
            line.shared = self.made.get(mark)
        shared = {id(line.shared) for line, _ in self.waiting}
        count = 0
        for box in self.boxes:
            if id(box) in shared:
                count += 1
                box.mark = count


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    for key, child in list(children(value) or ()):
        if key == "_args_" and isinstance(child, (list, tuple)):
            yield from enumerate(child)
        elif key not in _SPECIAL or (key == "_target_" and type(child) is Node):
            yield key, child


def _name(key: Any) -> str:
    return f"[{key}]" if isinstance(key, int) else str(key)


def _heading(value: Any, path: Path, key: str) -> tuple[str, str, str]:
    """Return title, group and tooltip of a box."""
    place = position_of(value) if type(value) is Node else None
    where = [*([format_path(path)] if path else []), *([origin_text(place)] if place is not None else [])]
    if not is_call(value):
        return key, "", "\n".join(where)
    target = raw_get(value, "_target_")
    full = target_name(target, full=True)
    name = _cut(target_name(target), 40)
    file, in_file, _ = full.partition(":")
    module = "" if type(target) is Node else file if in_file else full.rpartition(".")[0]
    title = f"{name} (partial)" if raw_get(value, "_partial_") else name
    return title, ".".join(module.split(".")[:2]) or "builtins", "\n".join([full, *where])


def _cut(text: str, length: int = _LONGEST) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[: length - 3]}..."


def place(graph: Graph) -> None:
    """Give every box its place: a column for each depth, and in it the next free place below the others; a
    box stands level with the first one that it holds.

    The script of the page places the boxes in the same way when some are closed.
    """
    widths: dict[int, float] = {}
    for box in graph.boxes:
        widths[box.depth] = max(widths.get(box.depth, 0), box.width)
    left, columns = 0.0, {}
    for depth in sorted(widths):
        columns[depth] = left
        left += widths[depth] + GAP_X
    free: dict[int, float] = {}
    _place(graph.boxes[0], 0.0, columns, free)


def _place(box: Box, top: float, columns: dict[int, float], free: dict[int, float]) -> None:
    y = max(top, free.get(box.depth, 0.0))
    for number, child in enumerate(box.children()):
        _place(child, y, columns, free)
        if number == 0:
            y = max(y, child.y)
    box.x, box.y = columns[box.depth], y
    free[box.depth] = y + box.height + GAP_Y
