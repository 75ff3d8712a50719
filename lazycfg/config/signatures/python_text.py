"""Where a value stands in the text of a Python config file, found in its syntax tree when somebody asks."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import CodeType
from typing import Any

from lazycfg.config.signatures.binding import known_signature
from lazycfg.config.signatures.modules import locate_module
from lazycfg.config.signatures.source_lookup import Place, Source, read_once
from lazycfg.config.tree.position import FilePosition, Origin, Position, column_at, is_config_code, is_edited

TYPE_CHECKING = False
if TYPE_CHECKING:
    from lazycfg.config.tree.paths import Key


class Assigned(Origin):
    """A variable of a config file, for a dict that was written without a call that could be recorded.

    Attributes:
        path: the name of the variable; empty for the file as a whole.
        stamps: what `stamp` gave for each file of the load; None when that is not known.
    """

    __slots__ = ("file", "path", "stamps")
    file: str

    def __init__(self, file: str, path: tuple[str, ...] = (), stamps: Mapping[str, int] | None = None):
        self.file = file
        self.path = path
        self.stamps = stamps

    def __str__(self) -> str:
        if is_edited(self.file, self.stamps):
            return f"{self.file} (edited after it was loaded)"
        return super().__str__()

    def source(self) -> Source:
        """Return the source of the value."""
        return _Variable(self.file, self.path, self.stamps)

    def _place(self) -> Origin | None:
        """Return the place of the latest assignment."""
        places = self.source().places()
        return places[-1].position if places else None

    @property
    def line(self) -> int | None:
        """Return the line in the file, from 1; None if it is not known."""
        place = self._place()
        return None if place is None else place.line

    @property
    def column(self) -> int | None:
        """Return the column in the line, from 1; None if it is not known."""
        place = self._place()
        return None if place is None else place.column


class Expression(Source):
    """A value that is written as one expression.

    Args:
        file: that it is in.
        tree: it.
        node: what the expression made, when it is known: names positional arguments.
        at: the piece of text that it begins with; `tree` by default.
        column: of a line and a column in bytes, for a text that is not what the file holds.
    """

    __slots__ = ("at", "column", "file", "node", "tree")

    def __init__(
        self,
        file: str,
        tree: ast.expr,
        node: Any = None,
        at: Any = None,
        column: Callable[[int, int], int] | None = None,
    ):
        self.file = file
        self.tree = tree
        self.node = node
        self.at = at or tree
        self.column = column

    def below(self, key: Key) -> Source | None:
        """Return the source of what stands at `key`; None when the text does not tell."""
        found = _step(self.tree, key, self.node)
        return None if found is None else Expression(self.file, found[0], None, found[1], self.column)

    def places(self) -> list[Place]:
        """Return where the value is written."""
        return [_place(self.file, self.at, self.tree, self.column)]


class _Variable(Source):
    """A variable of a file, or what stands at a path below it."""

    __slots__ = ("file", "path", "stamps")

    def __init__(self, file: str, path: tuple[Key, ...], stamps: Mapping[str, int] | None = None):
        self.file = file
        self.path = path
        self.stamps = stamps  # of the files as they were loaded

    def below(self, key: Key) -> Source:
        """Return the source of what stands at `key`; None when the text does not tell."""
        return _Variable(self.file, (*self.path, key), self.stamps)

    def places(self) -> list[Place]:
        """Return where the value is written."""
        found: list[Place] = []
        if is_edited(self.file, self.stamps):
            return found
        parsed = read_once(self.file, _Parsed)
        for target, value, statement, certain in () if parsed is None or not self.path else parsed.assigned:
            if target != self.path[: len(target)]:
                continue
            rest = self.path[len(target) :]
            places: list[Place] = []
            if isinstance(value, str):  # imported under that name
                places = self._imported(statement, value, rest)
            elif value is not None:
                source: Source | None = Expression(self.file, value)
                for key in rest:
                    source = None if source is None else source.below(key)
                places = [] if source is None else source.places()
            elif not rest:  # changed by an operator
                places = [_place(self.file, statement, statement)]
            for place in places:
                place.certain = place.certain and certain
            found += places
        return found

    def _imported(self, statement: ast.ImportFrom, name: str, rest: tuple[Key, ...]) -> list[Place]:
        """Return what the imported file assigns; the import itself when that file is not found."""
        file = _imported_file(statement, self.file)
        if file is not None and file != self.file:
            found = _Variable(file, (name, *rest), self.stamps).places()
            if found:
                return found
        return [] if rest else [_place(self.file, statement, statement)]


def source_of_call(origin: Position, node: Any) -> Source | None:
    """Return the text of the call that made `node`; None when no file that can be read has it."""
    parsed = read_once(str(origin.file), _Parsed)
    if parsed is None or (is_config_code(origin.code) and not parsed.has(origin.code)):
        return None
    call = parsed.calls.get(origin.span())
    return None if call is None else Expression(str(origin.file), call, node)


def _step(tree: ast.expr, key: Key, node: Any) -> tuple[ast.expr, ast.AST] | None:
    """Return the expression at `key` of what `tree` makes, and the piece of text that it begins with."""
    if isinstance(tree, ast.Call):
        for keyword in tree.keywords:
            if keyword.arg == key:
                return keyword.value, keyword
        if key == "_args_":
            unnamed = _unnamed(tree.args, node)
            return (ast.Tuple(unnamed), unnamed[0]) if unnamed else None
        if isinstance(key, int):
            return _element(_unnamed(tree.args, node), key)
        return _element(tree.args, _position(key, node))
    if isinstance(tree, ast.Dict):
        for name, value in reversed(list(zip(tree.keys, tree.values, strict=True))):
            if name is None:  # `**other` may bring any key
                return None
            if isinstance(name, ast.Constant) and name.value == key:
                return value, name
        return None
    return _element(tree.elts, key) if isinstance(tree, ast.List | ast.Tuple) else None


def _element(elements: list[ast.expr], key: Any) -> tuple[ast.expr, ast.AST] | None:
    """Return the element at an index; None when it may be one that a `*other` brings."""
    if not isinstance(key, int) or not -len(elements) <= key < len(elements):
        return None
    counted = elements[: key + 1] if key >= 0 else elements[key:]
    if any(isinstance(element, ast.Starred) for element in counted):
        return None
    return elements[key], elements[key]


def _unnamed(given: list[ast.expr], node: Any) -> list[ast.expr]:
    """Return those of the positional arguments of the call that made `node` which have no name."""
    signature = known_signature(node)
    if signature is None or len(given) == len(dict.get(node, "_args_", ())):
        return given
    return [*given[: signature.positional_only], *given[len(signature.positional) :]]


def _position(key: Key, node: Any) -> int | None:
    """Return the index of the argument `key` among the positional ones of the call that made `node`."""
    signature = known_signature(node)
    names = () if signature is None else signature.positional
    return names.index(key) if isinstance(key, str) and key in names else None


def _assignments(tree: ast.Module) -> Iterator[tuple[tuple[Key, ...], ast.expr | str | None, Any, bool]]:
    """Yield (assigned path, value, statement, whether it runs in any case) of what the top level of a file
    assigns, in order.

    Of an imported name the value is its name over there; of one changed by an operator there is none.
    """
    for statement, certain in statements(tree):
        for name, value in named_inside(statement):
            yield (name,), value, statement, certain
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                for path, given in _unpacked(target, statement.value):
                    yield path, given, statement, certain
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            yield _target_path(statement.target), statement.value, statement, certain
        elif isinstance(statement, ast.AugAssign):
            yield _target_path(statement.target), None, statement, certain
        elif isinstance(statement, ast.ImportFrom):
            for alias in statement.names:
                yield (alias.asname or alias.name,), alias.name, statement, certain


def statements(parent: ast.AST, certain: bool = True) -> Iterator[tuple[ast.stmt, bool]]:
    """Yield the statements that run in the file's own scope, and whether they run in any case."""
    for inner in ast.iter_child_nodes(parent):
        if isinstance(inner, ast.stmt):
            yield inner, certain
            if not isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from statements(inner, False)
        elif isinstance(inner, ast.excepthandler | ast.match_case):
            yield from statements(inner, False)


def named_inside(statement: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names that `:=` gives in the expressions of a statement."""
    for expression in ast.iter_child_nodes(statement):
        for inner in ast.walk(expression) if isinstance(expression, ast.expr) else ():
            if isinstance(inner, ast.NamedExpr):
                yield inner.target.id, inner.value


def _unpacked(target: ast.expr, value: ast.expr) -> Iterator[tuple[tuple[Key, ...], ast.expr | None]]:
    """Yield the paths that one target of an assignment names, each with its value where the text tells it."""
    if not isinstance(target, ast.Tuple | ast.List):
        yield _target_path(target), value
        return
    values: list[Any] = value.elts if isinstance(value, ast.Tuple | ast.List) else []
    starred = any(isinstance(element, ast.Starred) for element in (*target.elts, *values))
    if starred or len(values) != len(target.elts):
        values = [None] * len(target.elts)
    for inner, given in zip(target.elts, values, strict=True):
        if given is not None:
            yield from _unpacked(inner, given)
        elif not isinstance(inner, ast.Starred):
            yield _target_path(inner), None


_NOWHERE: tuple[Any, ...] = (object(),)  # is the path of nothing


def _target_path(target: ast.expr) -> tuple[Key, ...]:
    return path_of_chain(target) or _NOWHERE


def path_of_chain(node: ast.AST) -> tuple[Key, ...] | None:
    """Return `a`, `a.b`, `a["b"]`, `a.b[0]` as a path; None for any other expression."""
    keys: list[Any] = []
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Attribute):
            keys.append(node.attr)
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            keys.append(node.slice.value)
        else:
            return None
        node = node.value
    return (node.id, *reversed(keys))


def _place(file: str, at: Any, whole: ast.AST, column: Callable[[int, int], int] | None = None) -> Place:
    """Return the place of the piece of text `at`, and the text of `whole`."""
    column = partial(column_at, file) if column is None else column
    position = FilePosition(file, at.lineno, column(at.lineno, at.col_offset))
    return Place(position, ast.unparse(whole), whole)


def _imported_file(statement: ast.ImportFrom, file: str) -> str | None:
    """Return the file that a `from ... import` reads, as far as that can be told without importing."""
    if not statement.level:
        return locate_module(str(statement.module))
    base = file
    for _ in range(statement.level):
        base = os.path.dirname(base)
    base = os.path.join(base, *(statement.module or "").split("."))
    return next((f for f in (f"{base}.py", os.path.join(base, "__init__.py")) if os.path.isfile(f)), None)


class _Parsed:
    """What is asked for of a Python file.

    Attributes:
        calls: all calls in it, by (line, end line, offset, end offset).
        assigned: what its top level assigns, see `_assignments`.
    """

    __slots__ = ("_codes", "_tree", "assigned", "calls")

    def __init__(self, data: bytes):
        tree = ast.parse(data)
        self._tree = tree
        self._codes: set[CodeType] | None = None
        self.calls: dict[Any, ast.Call] = {
            (found.lineno, found.end_lineno, found.col_offset, found.end_col_offset): found
            for found in ast.walk(tree)
            if isinstance(found, ast.Call)
        }
        self.assigned = list(_assignments(tree))

    def has(self, code: CodeType) -> bool:
        """Return whether the file, as it is now, compiles to this code among others."""
        if self._codes is None:
            work = [compile(self._tree, code.co_filename, "exec", dont_inherit=True)]
            for found in work:
                work += [inner for inner in found.co_consts if type(inner) is type(code)]
            self._codes = set(work)
        return code in self._codes
