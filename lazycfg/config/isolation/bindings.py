"""The syntax tree of a config file: how it binds its top-level names, and which of them it uses itself."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from lazycfg.config.errors import ConfigError
from lazycfg.config.signatures.python_text import named_inside, statements

Kind = Literal["assigned", "def", "class", "imported", "loop"]
_ORDER: tuple[Kind, ...] = ("loop", "imported", "class", "def", "assigned")  # the last one counts


@dataclass(frozen=True, slots=True)
class Import:
    """``from module import name``, with ``level`` dots before the module."""

    level: int
    module: str
    name: str


@dataclass(slots=True)
class Bindings:
    """The top-level names of a file.

    Attributes:
        kinds: how each name is bound; an assignment anywhere counts before a definition or an import.
        imports: where names that are bound by ``from ... import`` come from.
        stars: the modules of ``from ... import *``.
        used: names that are read somewhere in the file, a function's own recursion aside.
    """

    kinds: dict[str, Kind] = field(default_factory=dict)
    imports: dict[str, Import] = field(default_factory=dict)
    stars: list[Import] = field(default_factory=list)
    used: frozenset[str] = frozenset()

    def bind(self, name: str, kind: Kind) -> None:
        """Note one more way in which a name is bound."""
        known = self.kinds.get(name)
        if known is None or _ORDER.index(kind) > _ORDER.index(known):
            self.kinds[name] = kind


def parse_source(data: bytes, file: str) -> ast.Module:
    """Return the syntax tree of a file.

    Raises:
        SyntaxError: it is no Python.
        ConfigError: it is no text, or nested too deeply.
    """
    try:
        return ast.parse(data, file)
    except SyntaxError as error:
        if error.filename is None:  # null bytes
            raise ConfigError(f"{file}: not a Python file: {error}") from None
        raise
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(f"{file}:{line}: the file is not text in UTF-8: {error.reason}") from None
    except (RecursionError, MemoryError):
        raise ConfigError(f"{file}: nested too deeply") from None
    except ValueError as error:
        raise ConfigError(f"{file}: not a Python file: {error}") from None


def bindings_of(tree: ast.Module) -> Bindings:
    """Read the bindings off a syntax tree."""
    found = Bindings()
    for statement, _ in statements(tree):
        _bind(found, statement)
    reads = Counter(_read_names(tree))
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            reads[statement.name] -= sum(name == statement.name for name in _read_names(statement))
    found.used = frozenset(name for name, count in reads.items() if count > 0)
    return found


def _bind(found: Bindings, statement: ast.stmt) -> None:
    for name, _ in named_inside(statement):
        found.bind(name, "assigned")
    targets: list[ast.AST] = []
    kind: Kind = "assigned"
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        found.bind(statement.name, "def")
    elif isinstance(statement, ast.ClassDef):
        found.bind(statement.name, "class")
    elif isinstance(statement, ast.Assign):
        targets = [*statement.targets]
    elif isinstance(statement, ast.AugAssign) or (
        isinstance(statement, ast.AnnAssign) and statement.value is not None
    ):
        targets = [statement.target]
    elif isinstance(statement, ast.For | ast.AsyncFor):
        targets, kind = [statement.target], "loop"
    elif isinstance(statement, ast.With | ast.AsyncWith):
        targets, kind = [i.optional_vars for i in statement.items if i.optional_vars is not None], "loop"
    elif isinstance(statement, ast.Import):
        for alias in statement.names:
            found.bind(alias.asname or alias.name.partition(".")[0], "imported")
    elif isinstance(statement, ast.ImportFrom):
        _bind_imports(found, statement)
    for target in targets:
        for inner in ast.walk(target):
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                found.bind(inner.id, kind)


def _bind_imports(found: Bindings, statement: ast.ImportFrom) -> None:
    for alias in statement.names:
        origin = Import(statement.level, statement.module or "", alias.name)
        if alias.name == "*":
            found.stars.append(origin)
            continue
        found.imports[alias.asname or alias.name] = origin
        found.bind(alias.asname or alias.name, "imported")


def _read_names(tree: ast.AST) -> Iterator[str]:
    for inner in ast.walk(tree):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load):
            yield inner.id
