"""Import statements of lazy config files: names of detectron2 become ours."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from lazycfg.convert.lazy_files.names import THEIRS, find_ours
from lazycfg.convert.lazy_files.source import Source

__all__ = ["Imports", "import_lines"]


class Imports:
    """What the names of a file stand for.

    Attributes:
        origins: local name -> where it is imported from, "detectron2.config.LazyCall".
        needed: modules of ours -> names that the rewritten parts need.
        problems: names without a counterpart, with their lines.
        elsewhere: packages that are imported as they are and that need detectron2 themselves.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.origins: dict[str, str] = {}
        self.needed: dict[str, set[str]] = {}
        self.problems: list[str] = []
        self.elsewhere: set[str] = set()
        self._replaced: dict[str, int] = {}  # local name -> how many of its uses are gone
        self._statements: list[ast.Import | ast.ImportFrom] = []
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self.origins[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
                self._statements.append(node)
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                for alias in node.names:
                    self.origins[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                self._statements.append(node)

    def origin(self, node: ast.AST) -> str:
        """Return the dotted name that an expression stands for; "" for others."""
        if isinstance(node, ast.Attribute):
            owner = self.origin(node.value)
            return f"{owner}.{node.attr}" if owner else ""
        return self.origins.get(node.id, "") if isinstance(node, ast.Name) else ""

    def is_from(self, node: ast.AST, name: str) -> bool:
        """Return whether an expression is a name of detectron2, from whatever module it is imported."""
        origin = self.origin(node)
        return origin.partition(".")[0] in THEIRS and origin.endswith(f".{name}")

    def drop(self, node: ast.AST) -> None:
        """Note that the names in an expression are no longer used there."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name):
                self._replaced[inner.id] = self._replaced.get(inner.id, 0) + 1

    def need(self, module: str, name: str) -> str:
        """Import a name of ours; returns how it is called."""
        for local, origin in self.origins.items():
            if origin.partition(".")[0] in THEIRS and find_ours(origin) == (module, name):
                self._replaced[local] = self._replaced.get(local, 0) - 1
                return local
        self.needed.setdefault(module, set()).add(name)
        return name

    def rewrite(self) -> None:
        """Edit all import statements; after everything else, as names may be used no more."""
        uses: dict[str, int] = {}
        for node in ast.walk(self.source.tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                uses[node.id] = uses.get(node.id, 0) + 1
        used = {name for name, count in uses.items() if count > self._replaced.get(name, 0)}
        used |= {name for name, count in self._replaced.items() if count < 0}
        pending = dict(self.needed)
        last = None
        for statement in self._statements:
            root = self._root(statement)
            if root == "omegaconf":
                self._omegaconf(statement, used)
            elif root in THEIRS:
                lines = list(self._ours(statement, used, set(uses)))
                groups: dict[str, list[tuple[str, str]]] = {}
                for module, name, local in lines:
                    groups.setdefault(module, []).append((name, local))
                for module in list(groups):
                    groups[module] += [(name, name) for name in sorted(pending.pop(module, ()))]
                indent = " " * self.source.column(statement)
                text = f"\n{indent}".join(import_lines(groups))
                if text:
                    self.source.replace(statement, text)
                    last = statement
                else:
                    self.source.remove_statement(statement)
            elif isinstance(statement, ast.ImportFrom) and self._is_gone(statement, used):
                self.source.remove_statement(statement)
            elif isinstance(statement, ast.ImportFrom) and root in (
                "detrex",
                "projects",
                "adet",
                "mask2former",
            ):
                self.elsewhere.add(root)
        if pending:
            self._add(pending, last)

    def _is_gone(self, statement: ast.ImportFrom, used: set[str]) -> bool:
        names = {alias.asname or alias.name for alias in statement.names}
        return names <= set(self._replaced) and not names & used

    def _root(self, statement: ast.Import | ast.ImportFrom) -> str:
        name = statement.module or "" if isinstance(statement, ast.ImportFrom) else statement.names[0].name
        return name.partition(".")[0]

    def _ours(
        self, statement: ast.Import | ast.ImportFrom, used: set[str], all_names: set[str]
    ) -> Iterator[tuple[str, str, str]]:
        for alias in statement.names:
            if isinstance(statement, ast.ImportFrom) and alias.name == "*":
                yield from self._star(statement, all_names)
                continue
            if isinstance(statement, ast.Import):
                if alias.asname is None:
                    if alias.name.partition(".")[0] in used:
                        self._problem(statement, f"import {alias.name}: write from {alias.name} import ...")
                    continue
                origin, local = alias.name, alias.asname
            else:
                origin, local = f"{statement.module}.{alias.name}", alias.asname or alias.name
            found = find_ours(origin)
            if local not in used and (found is None or local in self._replaced):
                continue  # a name that is not used may be imported from here by another file
            if found is None:
                self._problem(statement, f"{origin} has no counterpart in lazycfg")
            else:
                yield (*found, local)

    def _star(self, statement: ast.ImportFrom, used: set[str]) -> Iterator[tuple[str, str, str]]:
        for name in sorted(used - set(self.origins)):
            found = find_ours(f"{statement.module}.{name}")
            if found is not None:
                yield (*found, name)

    def _omegaconf(self, statement: ast.Import | ast.ImportFrom, used: set[str]) -> None:
        kept = [alias for alias in statement.names if (alias.asname or alias.name.partition(".")[0]) in used]
        if len(kept) == len(statement.names):
            return
        if not kept:
            self.source.remove_statement(statement)
        elif isinstance(statement, ast.ImportFrom):
            names = ", ".join(f"{a.name} as {a.asname}" if a.asname else a.name for a in kept)
            self.source.replace(statement, f"from {statement.module} import {names}")

    def _add(self, needed: dict[str, set[str]], after: ast.stmt | None) -> None:
        lines = import_lines({module: [(n, n) for n in sorted(names)] for module, names in needed.items()})
        text = "\n".join(lines)
        if after is not None and not self.source.column(after):
            self.source.insert(self.source.span(after)[1], f"\n{text}")
            return
        body = self.source.tree.body
        first: ast.stmt | None = next((s for s in body if isinstance(s, ast.Import | ast.ImportFrom)), None)
        docstring = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
        if first is None:
            first = body[1] if docstring and len(body) > 1 else body[0]
            text += "\n"
        self.source.insert(self.source.span(first)[0], f"{text}\n")

    def _problem(self, statement: ast.stmt, text: str) -> None:
        self.problems.append(f"{self.source.file}:{statement.lineno}: {text}")


def import_lines(groups: dict[str, list[tuple[str, str]]]) -> list[str]:
    """Return import statements, broken where they get long; of (name, local name) by module."""
    lines = []
    for module, names in groups.items():
        texts = list(dict.fromkeys(n if n == local else f"{n} as {local}" for n, local in names))
        line = f"from {module} import {', '.join(texts)}"
        if len(line) > 100:
            line = f"from {module} import (\n" + "".join(f"    {text},\n" for text in texts) + ")"
        lines.append(line)
    return lines
