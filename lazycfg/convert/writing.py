"""A config file in the way that a person writes one: parts of the zoo imported, what differs assigned."""

from __future__ import annotations

import keyword
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lazycfg.config import Node, get_path
from lazycfg.config.formats.encode import encode
from lazycfg.config.formats.items import Encoded, Item
from lazycfg.config.formats.python_expressions import is_name, string_literal
from lazycfg.config.formats.python_io import PythonWriter
from lazycfg.config.tree.targets import ImportName
from lazycfg.convert.fitting import NOTHING, Edit
from lazycfg.inspection.equality import equal_configs

__all__ = ["Part", "write_config"]


@dataclass(frozen=True)
class Part:
    """One top-level key of a config.

    Attributes:
        key: its name, "model".
        module: that it is imported from; "" where the whole value is written.
        name: that it has there.
        value: what it is in the end, which is written where there is no module.
        edits: of what was imported.
    """

    key: str
    module: str
    name: str
    value: Any
    edits: tuple[Edit, ...] = ()


def write_config(
    title: str,
    parts: Sequence[Part],
    comments: Sequence[str] = (),
    spellings: Mapping[float, str] | None = None,
) -> str:
    """Return the text of a config file.

    Args:
        title: its first line, a sentence.
        parts: its top-level keys.
        comments: sentences for the end of the file.
        spellings: of numbers that are the result of a calculation: ``{0.0125: "1000 / 80000"}``.
    """
    writer = _Writer(spellings or {})
    for part in parts:
        writer.names.reserve(part.key, ("part", part.key))
    bodies = [text for part in parts if (text := writer.body(part))]
    header = _header(writer.names.header(), [part for part in parts if part.module])
    blocks = [f'"""{title}"""', header.strip(), *(body.strip() for body in bodies)]
    text = "\n\n".join(block for block in blocks if block) + "\n"
    if comments:
        wrapped = (textwrap.fill(c, 100, initial_indent="# ", subsequent_indent="# ") for c in comments)
        text += "\n" + "\n".join(wrapped) + "\n"
    return text


_ANY, _REF = ImportName("typing", "Any"), ImportName("lazycfg", "ref")
_REFERENCE = re.compile(r"\$\{[^{}]*\}")


class _Writer(PythonWriter):
    def __init__(self, spellings: Mapping[float, str]) -> None:
        super().__init__()
        self._spellings = spellings
        self._written: dict[str, Any] = {}  # top-level keys, as they are after what is written already

    def expression(self, value: Encoded, column: int = 0, indent: int = 0) -> str:
        """Return an expression; that of a copy of the model says so."""
        model = self._written.get("model")
        if isinstance(value, Item) and value.kind == "call" and type(model) is Node:
            is_like = dict.get(model, "_target_") is dict.get(value.obj, "_target_")
            if is_like and equal_configs(value.obj, model):
                return "model.copy()"
        return super().expression(value, column, indent)

    def _literal(self, value: Encoded) -> str:
        if isinstance(value, float) and value in self._spellings:
            return self._spellings[value]
        if isinstance(value, str) and _REFERENCE.fullmatch(value):
            return f"{self.names.imported(_REF)}({string_literal(value[2:-1])})"
        return super()._literal(value)

    def _arguments(
        self, opening: str, parts: list[tuple[str | None, Encoded]], column: int, indent: int
    ) -> str:
        if opening.endswith("ShapeSpec("):
            parts = [part for part in parts if part[1] is not None]
        return super()._arguments(opening, parts, column, indent)

    def body(self, part: Part) -> str:
        """Return the statements of one part."""
        text = self._body(part)
        self._written[part.key] = part.value
        return text

    def _body(self, part: Part) -> str:
        if not part.module:
            return f"{part.key}{self._any()} = {self._value(part.value, len(part.key) + 8)}"
        lines: list[str] = []
        for holder, edits in _by_holder(part):
            lines += self._of_holder(_place(holder), edits)
        for element, edits in _loops(part):
            name = f"_{str(element[-1]).rstrip('s')}"
            body = [textwrap.indent(text, "    ") for text in self._of_holder(name, edits)]
            lines += [f"for {name} in {_place(element)}:", *body]
        return "\n".join(lines)

    def _of_holder(self, holder: str, edits: list[Edit]) -> list[str]:
        """Return the statements that change one node."""
        settings = [edit for edit in edits if edit.value is not NOTHING and is_name(str(edit.path[-1]))]
        together = len(settings) > 1 and not any(edit.path[-1] == "_target_" for edit in settings)
        lines = [self._update(holder, settings)] if together else []
        return lines + [
            self._statement(holder, edit) for edit in edits if not together or edit not in settings
        ]

    def _any(self) -> str:
        self.names.import_as("Any", _ANY)
        return ": Any"

    def _value(self, value: Any, column: int, indent: int = 0) -> str:
        ((_, encoded),) = encode({"value": value}).parts
        return self.expression(encoded, column, indent)

    def _statement(self, holder: str, edit: Edit) -> str:
        key = edit.path[-1]
        if edit.value is NOTHING:
            return f"del {holder}[{string_literal(key)}]"
        place = f"{holder}{_step(key)}"
        return f"{place} = {self._value(edit.value, len(place) + 3)}"

    def _update(self, holder: str, edits: list[Edit]) -> str:
        entries = [f"{e.path[-1]}={self._value(e.value, 5 + len(e.path[-1]), 4)}" for e in edits]
        flat = f"{holder}.update({', '.join(entries)})"
        if len(flat) <= 100 and "\n" not in flat:
            return flat
        body = "".join(f"    {entry},\n" for entry in entries)
        return f"{holder}.update(\n{body})"


Holder = tuple[tuple[Any, ...], list[Edit]]


def _by_holder(part: Part) -> list[Holder]:
    """Return the edits of each node, without those that a loop makes."""
    in_loops = {id(edit) for _, edits in _loops(part, every=True) for edit in edits}
    holders: dict[tuple[Any, ...], list[Edit]] = {}
    for edit in part.edits:
        if id(edit) not in in_loops:
            holders.setdefault(edit.path[:-1], []).append(edit)
    return list(holders.items())


def _loops(part: Part, *, every: bool = False) -> list[Holder]:
    """Return the edits that all elements of a list need alike, by the path of the list.

    Args:
        part: whose edits are looked at.
        every: return those of all elements; by default those of the first one, which stand for the others.
    """
    lists: dict[tuple[Any, ...], dict[int, list[Edit]]] = {}
    for edit in part.edits:
        if len(edit.path) > 2 and isinstance(edit.path[-2], int):
            lists.setdefault(edit.path[:-2], {}).setdefault(edit.path[-2], []).append(edit)
    found = []
    for path, elements in lists.items():
        number = len(get_path(part.value, path[1:]))
        first, *others = [[(e.path[-1], e.value) for e in edits] for edits in elements.values()]
        if number > 1 and len(elements) == number and all(other == first for other in others):
            edits = [edit for group in elements.values() for edit in group]
            found.append((path, edits if every else elements[0]))
    return found


def _place(path: Sequence[Any]) -> str:
    return str(path[0]) + "".join(map(_step, path[1:]))


def _step(key: Any) -> str:
    """Return how a key of a node, or the index of a list, is written after it."""
    if isinstance(key, str):
        plain = is_name(key) and not keyword.iskeyword(key) and not hasattr(Node, key)
        return f".{key}" if plain else f"[{string_literal(key)}]"
    return f"[{key!r}]"


def _header(imports: str, parts: Sequence[Part]) -> str:
    """Return the imports, those of the parts among the others, in the order that isort gives them."""
    lines = _statements(imports)
    for part in parts:
        name = part.name if part.name == part.key else f"{part.name} as {part.key}"
        lines.append(f"from {part.module} import {name}")
    blocks: list[list[str]] = [[], [], []]  # other packages, ours, files beside this one
    for line in sorted(lines, key=_order):
        module = _module(line)
        blocks[2 if module.startswith(".") else module.startswith("lazycfg")].append(line)
    return "\n\n".join("\n".join(block) for block in blocks if block)


def _statements(imports: str) -> list[str]:
    """Return import statements one by one; names that are renamed have one of their own."""
    found: list[str] = []
    for statement in filter(None, re.split(r"\n(?=from |import )", imports.strip())):
        head, _, rest = statement.partition(" import ")
        names = [name for name in re.split(r"[\s,()]*[\n,()][\s,()]*", rest) if name]
        if not rest:
            found.append(statement)
            continue
        found += [f"{head} import {name}" for name in names if " as " in name]
        others = sorted((name for name in names if " as " not in name), key=_order_of_name)
        line = f"{head} import {', '.join(others)}"
        if len(line) > 100:
            line = f"{head} import (\n{''.join(f'    {name},{chr(10)}' for name in others)})"
        found += [line] if others else []
    return found


def _order_of_name(name: str) -> tuple[int, str]:
    """Return what isort sorts by: constants first, then classes."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2, name)


def _module(line: str) -> str:
    return line.split()[1]


def _order(line: str) -> tuple[str, bool, str]:
    return _module(line), " as " not in line, line
