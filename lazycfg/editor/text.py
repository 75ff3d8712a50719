"""The text of a config file while it is written: what stands where, in spite of what is not finished."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lazycfg.config.signatures.python_text import path_of_chain

__all__ = ["Spot", "call_before", "chain_before", "spot_at", "tolerant"]

Path = tuple[Any, ...]

_MOST_ATTEMPTS = 200
_CHAIN = re.compile(r"(?<![\w.)\]])([A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[\d+\])*)\.(\w*)$")
_PIECES = re.compile(r"\.?([A-Za-z_]\w*)|\[(\d+)\]")
_OPEN, _CLOSED = "([{", ")]}"


@dataclass(frozen=True)
class Spot:
    """What stands at a place of a file.

    Attributes:
        path: of the value, from a variable of the file; None for something else.
        target: the expression of a target, `X` of ``L(X)(...)``; None for a value.
        line, start, end: where its name stands: line from 1, columns in UTF-8 bytes from 0.
    """

    path: Path | None
    target: str | None
    line: int
    start: int
    end: int


def tolerant(text: str) -> tuple[ast.Module, bytes, SyntaxError | None]:
    """Return the syntax tree of a text, with the lines left out that cannot be read.

    Returns:
        the tree; the text that it is of, whose lines are where they were; the first error, None without one.
    """
    lines = text.split("\n")
    first: SyntaxError | None = None
    for _ in range(_MOST_ATTEMPTS):
        try:
            whole = "\n".join(lines)
            return ast.parse(whole), whole.encode(), first
        except SyntaxError as error:
            first = first or error
            wrong = min(max((error.lineno or 1) - 1, 0), len(lines) - 1)
            while wrong and not lines[wrong].strip():
                wrong -= 1
            lines[wrong] = ""
        except (ValueError, RecursionError, MemoryError) as error:  # null bytes, or nested too deeply
            first = first or SyntaxError(str(error))
            break
    return ast.Module(body=[], type_ignores=[]), b"", first


def spot_at(tree: ast.Module, line: int, offset: int) -> Spot | None:
    """Return what stands at a place: line from 1, column in UTF-8 bytes from 0."""
    found = [spot for spot in _spots(tree) if spot.line == line and spot.start <= offset <= spot.end]
    return min(found, key=lambda spot: (spot.end - spot.start, -spot.start), default=None)


def _spots(tree: ast.Module) -> Iterator[Spot]:
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                yield from _values(statement.value, path_of_chain(target))
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            yield from _values(statement.value, path_of_chain(statement.target))
        elif isinstance(statement, ast.ImportFrom):
            for alias in statement.names:
                if alias.name != "*":
                    yield _spot((alias.asname or alias.name,), alias, alias.col_offset, alias.end_col_offset)
        elif isinstance(statement, ast.Expr) and (call := _update(statement.value)) is not None:
            for keyword in call.keywords:
                yield from _keyword(keyword, path_of_chain(call.func.value))  # type: ignore[attr-defined]
        for inner in ast.walk(statement):
            path = path_of_chain(inner) if isinstance(inner, ast.Name | ast.Attribute) else None
            if path is not None and isinstance(inner, ast.expr) and inner.lineno == inner.end_lineno:
                end = inner.end_col_offset or 0
                yield _spot(path, inner, end - len(str(path[-1]).encode()), end)


def _update(expression: ast.expr) -> ast.Call | None:
    is_update = (
        isinstance(expression, ast.Call)
        and isinstance(expression.func, ast.Attribute)
        and expression.func.attr == "update"
    )
    return expression if is_update else None  # type: ignore[return-value]


def _values(value: ast.expr, path: Path | None) -> Iterator[Spot]:
    """Yield the arguments and targets of calls, and the keys of dicts, in an expression at a path."""
    if isinstance(value, ast.Call):
        maker = value.func
        if isinstance(maker, ast.Call) and len(maker.args) == 1 and not maker.keywords:
            target = maker.args[0]
            if isinstance(target, ast.Name | ast.Attribute) and target.lineno == target.end_lineno:
                yield Spot(
                    None, ast.unparse(target), target.lineno, target.col_offset, target.end_col_offset or 0
                )
        for keyword in value.keywords:
            yield from _keyword(keyword, path)
    elif isinstance(value, ast.Dict):
        for key, inner in zip(value.keys, value.values, strict=True):
            if isinstance(key, ast.Constant):
                own = None if path is None else (*path, key.value)
                yield _spot(own, key, key.col_offset, key.end_col_offset)
                yield from _values(inner, own)
    elif isinstance(value, ast.List | ast.Tuple):
        for number, inner in enumerate(value.elts):
            yield from _values(inner, None if path is None else (*path, number))


def _keyword(keyword: ast.keyword, path: Path | None) -> Iterator[Spot]:
    if keyword.arg is None:
        return
    own = None if path is None else (*path, keyword.arg)
    yield _spot(own, keyword, keyword.col_offset, keyword.col_offset + len(keyword.arg.encode()))
    yield from _values(keyword.value, own)


def _spot(path: Path | None, node: Any, start: int, end: int | None) -> Spot:
    return Spot(path, None, node.lineno, start, start if end is None else end)


# -- what is being written: by letters, since it is no Python yet


def chain_before(line: str) -> tuple[Path, str] | None:
    """Return the path before the last dot of a line, and what follows: (cfg, a) and "b" of ``cfg.a.b``."""
    found = _CHAIN.search(line)
    if found is None:
        return None
    pieces = _PIECES.findall(found[1])
    return tuple(name or int(number) for name, number in pieces), found[2]


def call_before(text: str) -> tuple[str, list[str], str] | None:
    """Return the call that a text ends in: its target, the arguments it has, the word that is being written.

    The target is `X` of ``L(X)(...``. None where no argument is being written, such as after ``a=``.
    """
    word = re.search(r"\w*$", text)
    prefix = "" if word is None else word[0]
    clean = _without_strings(text)
    before = clean[: len(clean) - len(prefix)].rstrip()
    if not before or before[-1] not in "(,":
        return None
    start = _opening(before)
    if start is None or clean[start] != "(":
        return None
    maker = before[:start].rstrip()
    if not maker.endswith(")"):
        return None
    opened = _opening(maker[:-1])
    if opened is None or re.search(r"[\w.]+\s*$", maker[:opened]) is None:
        return None
    given = re.findall(r"(\w+)\s*=(?!=)", _top_level(before[start + 1 :]))
    return text[opened + 1 : len(maker) - 1], given, prefix


def _opening(text: str) -> int | None:
    """Return where the bracket was opened that the end of a text is in."""
    depth = 0
    for place in range(len(text) - 1, -1, -1):
        if text[place] in _CLOSED:
            depth += 1
        elif text[place] in _OPEN:
            if depth == 0:
                return place
            depth -= 1
    return None


def _top_level(text: str) -> str:
    """Return a text without what stands in brackets."""
    depth, kept = 0, []
    for letter in text:
        if letter in _OPEN:
            depth += 1
        elif letter in _CLOSED:
            depth -= 1
        elif depth == 0:
            kept.append(letter)
    return "".join(kept)


_STRING = re.compile(
    r"\"\"\".*?(?:\"\"\"|\Z)|'''.*?(?:'''|\Z)|\"(?:\\.|[^\"\\\n])*(?:\"|$)|'(?:\\.|[^'\\\n])*(?:'|$)|\#[^\n]*",
    re.DOTALL | re.MULTILINE,
)


def _without_strings(text: str) -> str:
    """Return a text of the same length, with letters for its strings and blanks for its comments."""
    return _STRING.sub(lambda found: re.sub(r"[^\n]", " " if found[0][0] == "#" else "_", found[0]), text)
