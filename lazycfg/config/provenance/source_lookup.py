"""Where a value stands in the text of a config file, found in its syntax tree when somebody asks.

A `Source` is a piece of the text: the call that made a node, or a variable of the file (with all that the
file assigns to it). `below` leads from there to the argument, key or element that a config path names next.
"""

from __future__ import annotations

from lazycfg.config.provenance.position import Assigned, FilePosition, Position, position_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ast
    from collections.abc import Iterator
    from typing import Any, TypeAlias

    from lazycfg.config.paths import Key

    Place: TypeAlias = "tuple[FilePosition, str]"  # where it stands, and its text

__all__ = ["Source", "places_of", "source_of"]


class Source:
    """What the text of a file tells about one value."""

    __slots__ = ()

    def below(self, key: Key) -> Source | None:
        """The source of what stands at `key` of this value; None when the text does not tell."""
        raise NotImplementedError

    def places(self) -> list[Place]:
        """Where the value was written, in the order of the lines."""
        raise NotImplementedError


class _Expression(Source):
    """A value that is written as one expression."""

    __slots__ = ("column", "file", "line", "node", "tree")

    def __init__(self, file: str, tree: ast.expr, node: Any = None, at: Any = None):
        self.file = file
        self.tree = tree
        self.node = node  # what the expression made, when it is known: names positional arguments
        self.line: int = (at or tree).lineno
        self.column: int = (at or tree).col_offset + 1

    def below(self, key: Key) -> Source | None:
        found = _step(self.tree, key, self.node)
        return None if found is None else _Expression(self.file, found[0], at=found[1])

    def places(self) -> list[Place]:
        import ast

        return [(FilePosition(self.file, self.line, self.column), ast.unparse(self.tree))]


class _Variable(Source):
    """A variable of a file, or what stands at a path below it."""

    __slots__ = ("file", "path")

    def __init__(self, file: str, path: tuple[Key, ...]):
        self.file = file
        self.path = path

    def below(self, key: Key) -> Source:
        return _Variable(self.file, (*self.path, key))

    def places(self) -> list[Place]:
        found: list[Place] = []
        tree = _parsed(self.file)
        for target, value, statement in _assignments(tree) if tree is not None and self.path else ():
            if target != self.path[: len(target)]:
                continue
            rest = self.path[len(target) :]
            if isinstance(value, str):  # imported under that name
                found += self._imported(statement, value, rest)
            elif value is not None:
                source: Source | None = _Expression(self.file, value)
                for key in rest:
                    source = None if source is None else source.below(key)
                found += [] if source is None else source.places()
            elif not rest:  # changed by an operator
                found.append(_whole(self.file, statement))
        return found

    def _imported(self, statement: ast.ImportFrom, name: str, rest: tuple[Key, ...]) -> list[Place]:
        """What the imported file assigns; the import itself when that file is not found."""
        file = _imported_file(statement, self.file)
        if file is not None and file != self.file:
            found = _Variable(file, (name, *rest)).places()
            if found:
                return found
        return [] if rest else [_whole(self.file, statement)]


def places_of(file: str, path: tuple[Key, ...]) -> list[Place]:
    """Where a file assigns a variable, or what stands at a path below it."""
    return _Variable(file, path).places()


def source_of(node: Any) -> Source | None:
    """The text that made `node`; None when it was not written in a file that can be read."""
    origin = position_of(node)
    if isinstance(origin, Assigned):
        return _Variable(origin.file, origin.path)
    if not isinstance(origin, Position):
        return None
    import ast

    line, end_line, column, end_column = origin.span()
    tree = _parsed(str(origin.file))
    if tree is None or line is None:
        return None
    for found in ast.walk(tree):
        if not isinstance(found, ast.Call) or (found.lineno, found.col_offset) != (line, column):
            continue
        if (found.end_lineno, found.end_col_offset) == (end_line, end_column):
            return _Expression(str(origin.file), found, node)
    return None


def _step(tree: ast.expr, key: Key, node: Any) -> tuple[ast.expr, ast.AST] | None:
    """The expression at `key` of what `tree` makes, and the piece of text that it begins with."""
    import ast

    if isinstance(tree, ast.Call):
        for keyword in tree.keywords:
            if keyword.arg == key:
                return keyword.value, keyword
        elements, key = tree.args, _position(key, node)
    elif isinstance(tree, ast.Dict):
        for name, value in reversed(list(zip(tree.keys, tree.values, strict=True))):
            if name is None:  # `**other` may bring any key
                return None
            if isinstance(name, ast.Constant) and name.value == key:
                return value, name
        return None
    elif isinstance(tree, ast.List | ast.Tuple):
        elements = tree.elts
    else:
        return None
    if not isinstance(key, int) or not -len(elements) <= key < len(elements):
        return None
    if any(isinstance(element, ast.Starred) for element in elements):
        return None
    return elements[key], elements[key]


def _position(key: Key, node: Any) -> Any:
    """The index of the argument `key` among the positional ones of the call that made `node`."""
    from lazycfg.config.errors import TargetError
    from lazycfg.config.signature import node_signature

    if isinstance(key, int) or node is None:
        return key
    try:
        signature = node_signature(node)
    except TargetError:
        return None
    names = [] if signature is None else list(signature.parameters)
    return names.index(key) if key in names else None


def _assignments(tree: ast.Module) -> Iterator[tuple[tuple[Key, ...], ast.expr | str | None, Any]]:
    """(assigned path, value, statement) of what the top level of a file assigns, in order.

    Of an imported name the value is its name over there; of one changed by an operator there is none.
    """
    import ast

    for statement in _statements(tree.body):
        if isinstance(statement, ast.Assign):
            for target in statement.targets:
                yield _target_path(target), statement.value, statement
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            yield _target_path(statement.target), statement.value, statement
        elif isinstance(statement, ast.AugAssign):
            yield _target_path(statement.target), None, statement
        elif isinstance(statement, ast.ImportFrom):
            for alias in statement.names:
                yield (alias.asname or alias.name,), alias.name, statement


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run in the file's own scope."""
    import ast

    for statement in body:
        yield statement
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for name in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(statement, name, []))


_NOWHERE: tuple[Any, ...] = (object(),)  # is the path of nothing


def _target_path(target: ast.expr) -> tuple[Key, ...]:
    """`a`, `a["b"]`, `a.b[0]` as a path."""
    import ast

    keys: list[Any] = []
    while not isinstance(target, ast.Name):
        if isinstance(target, ast.Attribute):
            keys.append(target.attr)
        elif isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
            keys.append(target.slice.value)
        else:
            return _NOWHERE
        target = target.value
    return (target.id, *reversed(keys))


def _whole(file: str, statement: ast.stmt) -> Place:
    import ast

    return FilePosition(file, statement.lineno, statement.col_offset + 1), ast.unparse(statement)


def _imported_file(statement: ast.ImportFrom, file: str) -> str | None:
    """The file that a `from ... import` reads, as far as that can be told without importing."""
    import os

    from lazycfg.config.loading.config_packages import locate_module

    if not statement.level:
        return locate_module(str(statement.module))
    base = file
    for _ in range(statement.level):
        base = os.path.dirname(base)
    base = os.path.join(base, *(statement.module or "").split("."))
    return next((f for f in (f"{base}.py", os.path.join(base, "__init__.py")) if os.path.isfile(f)), None)


_trees: dict[str, tuple[float, ast.Module]] = {}


def _parsed(file: str) -> ast.Module | None:
    """The syntax tree of a source file, kept until the file changes; None when there is no source."""
    import ast
    import os

    try:
        stamp = os.stat(file).st_mtime
        kept = _trees.get(file)
        if kept is None or kept[0] != stamp:
            with open(file, "rb") as stream:
                kept = (stamp, ast.parse(stream.read()))
            if len(_trees) > 64:
                _trees.clear()
            _trees[file] = kept
    except (OSError, SyntaxError, ValueError):
        return None
    return kept[1]
