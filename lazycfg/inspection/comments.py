"""The comment that stands with a value in the file that it was written in."""

from __future__ import annotations

import io
import linecache
import tokenize
from functools import cache

from lazycfg.config.tree.paths import parse_path
from lazycfg.config.tree.position import FilePosition
from lazycfg.inspection.explain import Explanation

__all__ = ["comment_of"]

_FOR_TOOLS = ("fmt:", "mypy:", "noqa", "pylint:", "pyright:", "ruff:", "type:")


def comment_of(explanation: Explanation) -> str:
    """Return the comment of the first line that wrote a value and has one: beside it, else above it; ``""``
    if none has.

    Of a later write, such as ``cfg.lr = 0.1``, the line has to name the key: a comment on one that writes
    several is about all of them.
    """
    for step in explanation.steps:
        where = step.origin
        if where is None or not where.file or not where.line:
            continue
        if not isinstance(where, FilePosition) and not _names(where.file, where.line, explanation.path):
            continue
        beside, above = _comments(where.file)
        if found := beside.get(where.line) or above.get(where.line):
            return found
    return ""


def _names(file: str, line: int, path: str) -> bool:
    """Return whether a line has the last key of a config path."""
    return path != "" and str(parse_path(path)[-1]) in linecache.getline(file, line)


@cache
def _comments(file: str) -> tuple[dict[int, str], dict[int, str]]:
    """Return the comments of a Python file by the line that they stand beside, and by the one below them."""
    beside: dict[int, str] = {}
    above: dict[int, str] = {}
    block: list[str] = []
    try:
        with tokenize.open(file) as stream:
            text = stream.read()
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            row, column = token.start
            if token.type == tokenize.COMMENT:
                words = token.string.lstrip("#").strip()
                if token.line[:column].strip():
                    if not words.startswith(_FOR_TOOLS):
                        beside[row] = words
                else:
                    block.append(words)
            elif token.type == tokenize.NL and not token.line.strip():
                block = []
            elif block and token.type not in (tokenize.NL, tokenize.INDENT, tokenize.DEDENT):
                above[row] = " ".join(block)
                block = []
    except (OSError, SyntaxError, tokenize.TokenError):  # a file that is gone, or was no Python
        return {}, {}
    return beside, above
