"""The text of a Python file with edits of parts of it: everything else stays as it was written."""

from __future__ import annotations

import ast
from typing import Any

__all__ = ["Source"]


class Source:
    """A file's text, its syntax tree, and the edits that are collected.

    Attributes:
        tree: the syntax tree.
        file: its name, for messages.
    """

    def __init__(self, text: str, file: str) -> None:
        self._bytes = text.encode()
        self.tree = ast.parse(text, file)
        self.file = file
        self._starts = [0]
        for line in self._bytes.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._edits: list[tuple[int, int, str]] = []

    def span(self, node: Any) -> tuple[int, int]:
        """Return where a node begins and ends, in bytes."""
        return (
            self._starts[node.lineno - 1] + node.col_offset,
            self._starts[node.end_lineno - 1] + node.end_col_offset,
        )

    def text_of(self, node: Any) -> str:
        """Return the text of a node as it was written."""
        start, end = self.span(node)
        return self._bytes[start:end].decode()

    def replace(self, node: Any, text: str) -> None:
        """Write something else for a node."""
        self._edits.append((*self.span(node), text))

    def cut(self, start: int, end: int, text: str) -> None:
        """Write something else between two bytes."""
        self._edits.append((start, end, text))

    def insert(self, at: int, text: str) -> None:
        """Write something at a byte."""
        self._edits.append((at, at, text))

    def remove_statement(self, node: Any) -> None:
        """Take a statement away, with its lines where nothing else is on them."""
        start, end = self.span(node)
        line = self._starts[node.lineno - 1]
        after = self._bytes.find(b"\n", end)
        after = len(self._bytes) if after < 0 else after
        rest = self._bytes[end:after].strip()
        if not self._bytes[line:start].strip() and (not rest or rest.startswith(b"#")):
            start, end = line, min(after + 1, len(self._bytes))
        self._edits.append((start, end, ""))

    def column(self, node: Any) -> int:
        """Return the column of a node, in characters."""
        start = self._starts[node.lineno - 1]
        return len(self._bytes[start : start + node.col_offset].decode())

    def indent(self, node: Any) -> int:
        """Return by how much the line of a node is indented."""
        line = self._bytes[self._starts[node.lineno - 1] :]
        return len(line) - len(line.lstrip(b" "))

    def is_first_on_line(self, node: Any) -> bool:
        """Return whether only blanks are before a node on its line."""
        start = self._starts[node.lineno - 1]
        return not self._bytes[start : start + node.col_offset].strip()

    def edited(self) -> str:
        """Return the text with all edits; of two that overlap the outer one counts."""
        result: list[bytes] = []
        at = 0
        for start, end, text in sorted(self._edits, key=lambda edit: (edit[0], edit[1] > edit[0], -edit[1])):
            if start < at:
                continue
            result += [self._bytes[at:start], text.encode()]
            at = end
        return b"".join([*result, self._bytes[at:]]).decode()
