"""What there is to say of a config file: what is wrong with it, what stands at a place, where that was set,
what may follow.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lazycfg.config.building.check import examine
from lazycfg.config.errors import ConfigError
from lazycfg.config.signatures.binding import node_signature
from lazycfg.config.tree.keys import find_key
from lazycfg.config.tree.node import SPECIAL, Node, is_call, raw_get, raw_keys
from lazycfg.config.tree.paths import MISSING, format_path
from lazycfg.config.tree.repr import short_repr
from lazycfg.config.tree.targets import is_deferred
from lazycfg.editor.text import Spot, call_before, chain_before, spot_at, tolerant
from lazycfg.inspection.docstrings import parameter_doc, target_doc
from lazycfg.inspection.explain import Step, explain
from lazycfg.without_importing.syntax_only import SyntaxReading

__all__ = ["Choice", "ConfigText", "Fault", "Location"]

# What else `check` finds depends on values that only running the file gives, or on the config that a file is
# a part of: an interpolation, a value to be filled in
_SURE = ("unknown argument", "missing argument", "type", "special key", "cycle")
_HIDDEN = (*SPECIAL, "_args_")


@dataclass(frozen=True)
class Location:
    """A place in a file: line and column from 1, the column in characters."""

    file: str
    line: int
    column: int


@dataclass(frozen=True)
class Fault:
    """Something that is wrong.

    Attributes:
        message: what.
        severity: "error" or "warning".
        at: where it was written; None where that is not known.
        path: of the config; "" where there is none.
    """

    message: str
    severity: Literal["error", "warning"]
    at: Location | None
    path: str = ""


@dataclass(frozen=True)
class Choice:
    """One thing that may be written next.

    Attributes:
        name: what completes the word.
        detail: its type or value, short.
        documentation: what it means.
        argument: it is the name of an argument, after which a ``=`` comes.
    """

    name: str
    detail: str
    documentation: str
    argument: bool


class ConfigText:
    """A config file as it stands in an editor, read by its syntax; nothing of it runs.

    Args:
        file: its path.
        text: what stands there now.
        others: texts of other files that are not saved, by absolute path.
    """

    def __init__(self, file: str, text: str, others: Mapping[str, bytes] | None = None) -> None:
        self.file = os.path.abspath(file)
        self.text = text
        self.tree, data, self.syntax_error = tolerant(text)
        self.reading: SyntaxReading | None = None
        self.problem: ConfigError | None = None
        try:
            self.reading = SyntaxReading(self.file, {**(others or {}), self.file: data})
        except SyntaxError as error:  # of another file
            self.problem = ConfigError(f"{error.filename}:{error.lineno}: {error.msg}")
        except (ConfigError, OSError) as error:
            self.problem = error if isinstance(error, ConfigError) else ConfigError(str(error))

    @property
    def variables(self) -> Node:
        """Return all variables of the file as a config, also private and imported ones."""
        if self.reading is None:
            return Node()
        return Node(
            {k: v for k, v in self.reading.names.items() if isinstance(v, Node | list | tuple | str | float)}
        )

    # ---------------------------------------------------------------- what is wrong

    def faults(self) -> list[Fault]:
        """Return what is wrong, as far as the syntax tells for sure."""
        if self.syntax_error is not None:
            error = self.syntax_error
            return [Fault(error.msg, "error", Location(self.file, error.lineno or 1, error.offset or 1))]
        if self.reading is None:
            return [Fault(str(self.problem), "error", Location(self.file, 1, 1))]
        found = []
        for problem in examine(self.reading.config).problems:
            if problem.kind not in _SURE or not self.reading.is_sure(problem.path):
                continue
            origin, at = problem.origin, None
            if origin is not None and origin.file is not None:
                at = Location(origin.file, origin.line or 1, origin.column or 1)
            severity: Literal["error", "warning"] = "warning" if problem.severity == "warning" else "error"
            found.append(Fault(problem.message, severity, at, format_path(problem.path)))
        return found

    # ---------------------------------------------------------------- a place

    def spot(self, line: int, column: int) -> Spot | None:
        """Return what stands at a line and a column, both from 1."""
        lines = self.text.split("\n")
        if not 1 <= line <= len(lines):
            return None
        return spot_at(self.tree, line, len(lines[line - 1][: column - 1].encode()))

    def hover(self, spot: Spot) -> str:
        """Return what there is to say of a spot, in Markdown; "" for nothing."""
        if spot.target is not None:
            return self._target_text(spot.target)
        if spot.path is None:
            return ""
        parts = []
        try:
            explanation = explain(self.variables, spot.path)
            parts.append(_code(str(explanation)))
        except ConfigError:
            pass
        holder = self._at(spot.path[:-1])
        if is_call(holder) and isinstance(spot.path[-1], str):
            parts.append(_code(_documented(holder, spot.path[-1])))
        value = self._at(spot.path)
        if is_call(value):
            parts.append(_code(_quietly(lambda: target_doc(value))))
        return "\n\n---\n\n".join(part for part in parts if part)

    def _target_text(self, expression: str) -> str:
        target = self._value(expression)
        return _code(_quietly(lambda: target_doc(Node(_target_=target)))) if is_deferred(target) else ""

    def definitions(self, spot: Spot) -> list[Location]:
        """Return where a value was set, the latest place first; of a target, where it is defined."""
        if spot.target is not None:
            return self._definition_of(self._value(spot.target))
        if spot.path is None:
            return []
        try:
            steps = explain(self.variables, spot.path).steps
        except ConfigError:
            return []
        return list(dict.fromkeys(_locations(reversed(steps))))

    def _definition_of(self, target: Any) -> list[Location]:
        from lazycfg.without_importing.source import Unsure, find_definition

        if not is_deferred(target):
            return []
        try:
            definition = find_definition(str(target))
        except (Unsure, OSError, SyntaxError, ValueError, RecursionError):
            return []
        return [Location(definition.file, definition.line, 1)]

    # ---------------------------------------------------------------- what may follow

    def completions(self, line: int, column: int) -> list[Choice]:
        """Return what may be written at a line and a column, both from 1."""
        lines = self.text.split("\n")
        before = "\n".join([*lines[: line - 1], lines[line - 1][: column - 1]]) if line <= len(lines) else ""
        chain = chain_before(before.rpartition("\n")[2])
        if chain is not None:
            return [choice for choice in self._keys(self._at(chain[0])) if choice.name.startswith(chain[1])]
        call = call_before(before)
        if call is None:
            return []
        expression, given, prefix = call
        target = self._value(expression)
        if not is_deferred(target):
            return []
        choices = self._arguments(Node(_target_=target))
        return [c for c in choices if c.name not in given and c.name.startswith(prefix)]

    def _keys(self, holder: Any) -> list[Choice]:
        if not isinstance(holder, Node):
            return []
        found = {choice.name: choice for choice in self._arguments(holder)} if is_call(holder) else {}
        for key in raw_keys(holder):
            if not isinstance(key, str) or not key.isidentifier() or key in _HIDDEN:
                continue
            known = found.get(key)
            text = "" if known is None else known.documentation
            found[key] = Choice(key, short_repr(raw_get(holder, key)), text, False)
        return [Choice(c.name, c.detail, c.documentation, False) for c in found.values()]

    def _arguments(self, node: Node) -> list[Choice]:
        try:
            signature = node_signature(node)
        except ConfigError:
            signature = None
        if signature is None:
            return []
        return [
            Choice(
                name,
                str(parameter).partition(":")[2].strip() or str(parameter),
                _documented(node, name),
                True,
            )
            for name, parameter in signature.parameters.items()
            if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        ]

    # ---------------------------------------------------------------- values

    def _at(self, path: tuple[Any, ...]) -> Any:
        value: Any = self.variables
        for key in path:
            value = find_key(value, key) if isinstance(value, Node | list | tuple) else MISSING
            if isinstance(value, str) and "${" in value:
                return MISSING
        return value

    def _value(self, expression: str) -> Any:
        if self.reading is None:
            return None
        try:
            return self.reading.value(expression)
        except (SyntaxError, ValueError, RecursionError):
            return None


def _documented(node: Node, name: str) -> str:
    return _quietly(lambda: parameter_doc(node, name))


def _quietly(text: Any) -> str:
    """Return a text; "" where it could be made only by importing something."""
    try:
        return str(text())
    except ConfigError:
        return ""


def _locations(steps: Iterator[Step]) -> Iterator[Location]:
    for step in steps:
        origin = step.origin
        if origin is not None and origin.file is not None and os.path.isabs(origin.file):
            yield Location(origin.file, origin.line or 1, origin.column or 1)


def _code(text: str) -> str:
    fence = "```" if "```" not in text else "~~~~"
    return f"{fence}text\n{text}\n{fence}" if text else ""
