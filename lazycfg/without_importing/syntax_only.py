"""What the syntax of a config file tells of its config: nothing of the file runs, and nothing is imported.

Read are assignments, ``L(target)(...)``, dicts, lists, literals, and imports of other config files, by the
same reading. What only running the file would tell stays the text of its expression, as an `Unread`.
"""

from __future__ import annotations

import ast
import copy
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lazycfg.config.errors import ConfigError
from lazycfg.config.isolation.bindings import parse_source
from lazycfg.config.signatures.modules import locate_module
from lazycfg.config.signatures.python_text import Expression
from lazycfg.config.signatures.source_lookup import Source
from lazycfg.config.tree.keys import find_key
from lazycfg.config.tree.node import Node, raw_contains, raw_get, raw_pop, raw_set
from lazycfg.config.tree.position import FilePosition, record_write, set_position
from lazycfg.without_importing.stand_ins import NEVER, StandIn

_MOST_FILES = 200
_CALLS = {"LazyCall": False, "LazyPartial": True}  # name -> whether `_partial_`
_FILE_READERS = ("get_config", "load", "load_rel")


class Unread:
    """An expression that only running the file would give a value to."""

    __slots__ = ("text",)

    def __init__(self, text: str):
        self.text = text

    def __repr__(self) -> str:
        return f"<{self.text}>"


class WrittenCall(FilePosition):
    """The place of a call in a file of which only the syntax was read."""

    __slots__ = ("node", "text", "tree")

    def __init__(self, file: str, tree: ast.Call, node: Node, text: _Text):
        super().__init__(file, tree.lineno, text.column(tree.lineno, tree.col_offset))
        self.tree, self.node, self.text = tree, node, text

    def source(self) -> Source:
        """Return what the text tells about the arguments."""
        return Expression(str(self.file), self.tree, self.node, column=self.text.column)


class _Text:
    """The lines of a file as they were read, which may not be those that are saved."""

    def __init__(self, data: bytes):
        self.lines = data.split(b"\n")

    def column(self, line: int, offset: int) -> int:
        """Return the column, in characters from 1, of a place that is `offset` bytes into a line."""
        return 1 + len(self.lines[line - 1][:offset].decode("utf-8", "replace"))


class _Module:
    """An imported module, or a name in it, which are called alike until they are used."""

    def __init__(self, name: str):
        self.name = name

    def named(self) -> Any:
        """Return what stands for a name of a module, or for the module."""
        module, _, name = self.name.rpartition(".")
        return StandIn((module, name), None, NEVER) if module else Unread(self.name)


class _ConfigFile:
    """Another config file that is imported as a module."""

    def __init__(self, names: dict[str, Any]):
        self.names = names


class _Maker:
    """`L(target)`, which wants its arguments."""

    def __init__(self, target: Any, partial: bool):
        self.target, self.partial = target, partial


def read_syntax(file: str | os.PathLike[str]) -> Node:
    """Return the config of a ``.py`` file, as far as its syntax tells.

    Raises:
        SyntaxError: the file is no Python.
        ConfigError: it is nested too deeply.
    """
    return SyntaxReading(file).config


class SyntaxReading:
    """A config file, read by its syntax.

    Args:
        file: the file; it need not be there if its text is given.
        texts: what stands in files that are not saved, by absolute path.

    Attributes:
        config: what loading the file would give, as far as that can be told.
        names: all variables, also imported and private ones.

    Raises:
        SyntaxError, ConfigError: see `read_syntax`.
    """

    def __init__(self, file: str | os.PathLike[str], texts: Mapping[str, bytes] | None = None) -> None:
        path = os.path.abspath(os.fspath(file))
        files = _Files(texts or {})
        try:
            self.names = files.read(path)
        except (RecursionError, MemoryError):
            raise ConfigError(f"{os.fspath(file)}: nested too deeply") from None
        self.config = _config_of(self.names)
        self._reader = _Reader(path, self.names, files, _Text(b""))

    def is_sure(self, path: Sequence[Any]) -> bool:
        """Return whether the file only does with what stands at a path of the config what was followed: it is
        not handed to a function, nor changed in a loop.
        """
        value: Any = self.config
        for key in (*path, None):
            if id(value) in self._reader.files.unsure:
                return False
            if key is None or isinstance(value, StandIn):
                break
            value = find_key(value, key)
            if isinstance(value, str) and "${" in value:
                return False  # perhaps of such a place
        return True

    def value(self, expression: str) -> Any:
        """Return the value of an expression in the file; an `Unread` if it is not known.

        Raises:
            SyntaxError: it is none.
        """
        return _settled(self._reader.value(ast.parse(expression.strip(), mode="eval").body))


def _config_of(names: dict[str, Any]) -> Node:
    if "__config__" in names and isinstance(names["__config__"], Node):
        return names["__config__"]
    return Node(
        (name, value)
        for name, value in names.items()
        if not name.startswith("_") and not isinstance(value, _Module | StandIn | _Maker | _ConfigFile)
    )


class _Files:
    """The files of one reading, each read once."""

    def __init__(self, texts: Mapping[str, bytes]) -> None:
        self.texts = texts
        self.known: dict[str, dict[str, Any]] = {}
        self._given: dict[tuple[str, str], dict[str, Any]] = {}
        # By id: the nodes that a function or a loop may have changed
        self.unsure: dict[int, Node] = {}

    def given_to(self, importer: str, file: str) -> dict[str, Any]:
        """Return the variables of a file for one that imports from it, which may edit them: its edits are not
        seen by others that import the file, as when configs are loaded.
        """
        if (importer, file) not in self._given:
            names = self.read(file)
            held = {k: v for k, v in names.items() if isinstance(v, Node | list | tuple)}
            self._given[importer, file] = {**names, **self.copied(held)}
        return self._given[importer, file]

    def copied(self, value: Any) -> Any:
        """Return a copy of a value, in which the same nodes are unsure."""
        memo: dict[int, Any] = {}
        result = copy.deepcopy(value, memo)
        self.unsure |= {id(memo[key]): memo[key] for key in self.unsure if key in memo}
        return result

    def read(self, file: str) -> dict[str, Any]:
        """Return the variables of a file; raises ConfigError if too many files import each other."""
        if file not in self.known:
            if len(self.known) >= _MOST_FILES:
                raise ConfigError(f"{file}: more than {_MOST_FILES} files import each other")
            names: dict[str, Any] = {}
            self.known[file] = names
            data = self.texts[file] if file in self.texts else Path(file).read_bytes()
            tree = parse_source(data, file)
            _Reader(file, names, self, _Text(data)).run(tree.body)
        return self.known[file]


class _Reader:
    """Goes through the statements of one file."""

    def __init__(self, file: str, names: dict[str, Any], files: _Files, text: _Text):
        self.file, self.names, self.files, self.text = file, names, files, text

    def run(self, body: list[ast.stmt]) -> None:
        """Follow statements, one after the other."""
        for statement in body:
            if isinstance(statement, ast.ImportFrom):
                self._import_from(statement)
            elif isinstance(statement, ast.Import):
                for alias in statement.names:
                    name = alias.name if alias.asname else alias.name.partition(".")[0]
                    self.names[alias.asname or name] = _Module(name)
            elif isinstance(statement, ast.Assign):
                value = self.value(statement.value)
                for target in statement.targets:
                    self.assign(target, value)
            elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
                self.assign(statement.target, self.value(statement.value))
            elif isinstance(statement, ast.AugAssign):
                self.assign(statement.target, _unread(statement))
            elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                self.names[statement.name] = StandIn((Path(self.file).stem, statement.name), None, NEVER)
            elif isinstance(statement, ast.Delete):
                for target in statement.targets:
                    self._delete(target)
            elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
                if not self._update(statement.value):
                    self._touch(statement)
            elif isinstance(statement, ast.If | ast.For | ast.While | ast.With | ast.Try):
                self._conditional(statement)

    def _conditional(self, statement: ast.stmt) -> None:
        """Note names that are assigned below a condition, of which the value is not known."""
        self._touch(statement)
        for inner in ast.walk(statement):
            if isinstance(inner, ast.Assign):
                for target in inner.targets:
                    self.assign(target, _unread(inner.value))
            elif isinstance(inner, ast.ImportFrom):
                self._import_from(inner)

    # ---------------------------------------------------------------- statements

    def _touch(self, tree: ast.AST) -> None:
        """Note the nodes that a statement names which may change them in a way that is not followed."""
        found = self.value(tree) if isinstance(tree, ast.Name | ast.Attribute | ast.Subscript) else None
        if isinstance(found, Node):
            self.files.unsure[id(found)] = found
            return
        for inner in ast.iter_child_nodes(tree):
            self._touch(inner)

    def _import_from(self, statement: ast.ImportFrom) -> None:
        for alias in statement.names:
            found: Any = self._imported(statement, alias.name)
            if alias.name == "*":
                self.names.update(
                    {k: v for k, v in found.items() if k[:1] != "_"} if type(found) is dict else {}
                )
            else:
                self.names[alias.asname or alias.name] = found

    def _imported(self, statement: ast.ImportFrom, name: str) -> Any:
        parts = statement.module.split(".") if statement.module else []
        if statement.level:
            folder = Path(self.file).parents[min(statement.level, len(Path(self.file).parents)) - 1]
        elif parts[:2] == ["lazycfg", "model_zoo"]:
            folder, parts = _zoo(), parts[2:]
        else:
            return _Module(f"{statement.module}.{name}")
        for words in (parts, [*parts, name]):
            file = _file_at(folder, words)
            if file is not None and (words or not statement.level):
                names = self.files.given_to(self.file, file)
                if name == "*":
                    return names
                if name in names:
                    return names[name]
                if words is not parts:
                    return _ConfigFile(names)
        return _Module(f"lazycfg.model_zoo.{name}") if not statement.level else Unread(name)

    def assign(self, target: ast.expr, value: Any) -> None:
        """Set variables, attributes or elements."""
        if isinstance(target, ast.Name):
            self.names[target.id] = value
        elif isinstance(target, ast.Tuple | ast.List):
            for index, inner in enumerate(target.elts):
                known = type(value) in (list, tuple) and len(value) == len(target.elts)
                self.assign(inner, value[index] if known else Unread(f"{ast.unparse(inner)} = ..."))
        else:
            holder, key = self._place(target)
            if isinstance(holder, Node) and key is not None:
                self._write(holder, key, value, target)

    def _write(self, holder: Node, key: Any, value: Any, at: ast.expr | ast.keyword) -> None:
        """Set a key of a node, and remember where that is written."""
        value = _settled(value)
        raw_set(holder, key, value)
        place = FilePosition(self.file, at.lineno, self.text.column(at.lineno, at.col_offset))
        record_write(holder, key, value, place)

    def _place(self, target: ast.expr) -> tuple[Any, Any]:
        if isinstance(target, ast.Attribute):
            return self.value(target.value), target.attr
        if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
            return self.value(target.value), target.slice.value
        return None, None

    def _delete(self, target: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self.names.pop(target.id, None)
        holder, key = self._place(target)
        if isinstance(holder, Node):
            raw_pop(holder, key, None)

    def _update(self, call: ast.Call) -> bool:
        """Apply ``node.update(a=1)``; return whether it is such a call."""
        if not (isinstance(call.func, ast.Attribute) and call.func.attr == "update"):
            return False
        holder = self.value(call.func.value)
        if isinstance(holder, Node):
            for arg in call.args:
                given = self.value(arg)
                for key, value in dict.items(given) if isinstance(given, Node) else ():
                    raw_set(holder, key, value)
            for keyword in call.keywords:
                if keyword.arg is not None:
                    self._write(holder, keyword.arg, self.value(keyword.value), keyword)
        return True

    # ---------------------------------------------------------------- expressions

    def value(self, node: ast.expr) -> Any:
        """Return the value of an expression, or that it is not known."""
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.UnaryOp | ast.BinOp):
            try:
                return ast.literal_eval(node)
            except (ValueError, TypeError):
                return _unread(node)
        if isinstance(node, ast.List | ast.Tuple):
            parts = [_settled(self.value(element)) for element in node.elts]
            return parts if isinstance(node, ast.List) else tuple(parts)
        if isinstance(node, ast.Dict) and all(isinstance(key, ast.Constant) for key in node.keys):
            pairs = zip(node.keys, node.values, strict=True)
            return Node((self.value(key), _settled(self.value(v))) for key, v in pairs if key is not None)
        if isinstance(node, ast.Name):
            return self.names[node.id] if node.id in self.names else _Module(f"builtins.{node.id}")
        if isinstance(node, ast.Attribute):
            return self._attribute(self.value(node.value), node)
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            return self._element(self.value(node.value), node.slice.value, node)
        return self._call(node) if isinstance(node, ast.Call) else _unread(node)

    def _attribute(self, owner: Any, node: ast.Attribute) -> Any:
        if isinstance(owner, _Module):
            return _Module(f"{owner.name}.{node.attr}")
        if isinstance(owner, _ConfigFile):
            return owner.names.get(node.attr, _unread(node))
        if isinstance(owner, StandIn):
            return getattr(owner, node.attr)
        return self._element(owner, node.attr, node)

    def _element(self, holder: Any, key: Any, node: ast.expr) -> Any:
        if isinstance(holder, Node) and raw_contains(holder, key):
            return raw_get(holder, key)
        if isinstance(holder, list | tuple) and isinstance(key, int) and -len(holder) <= key < len(holder):
            return holder[key]
        return _unread(node)

    def _call(self, node: ast.Call) -> Any:
        if isinstance(node.func, ast.Attribute) and node.func.attr == "copy" and not node.args:
            held = self.value(node.func.value)
            return self.files.copied(held) if isinstance(held, Node) else _unread(node)
        function = self.value(node.func)
        if isinstance(function, _Maker):
            made = Node(_target_=function.target)
            if function.partial:
                raw_set(made, "_partial_", True)
            return self._placed(self._arguments(made, node), node)
        if not isinstance(function, _Module):
            return _unread(node)
        last = function.name.rpartition(".")[2]
        if last in _CALLS and len(node.args) == 1:
            return _Maker(_settled(self.value(node.args[0])), _CALLS[last])
        if function.name in ("builtins.dict", "lazycfg.Node", "lazycfg.config.Node") and not node.args:
            return self._placed(self._arguments(Node(), node), node)
        if last == "ref" and len(node.args) == 1:
            path = self.value(node.args[0])
            return f"${{{path}}}" if isinstance(path, str) else _unread(node)
        if function.name == "copy.deepcopy" and len(node.args) == 1:
            held = self.value(node.args[0])
            return self.files.copied(held) if isinstance(held, Node) else _unread(node)
        if last in _FILE_READERS and node.args and isinstance(node.args[0], ast.Constant):
            return self._other_file(str(node.args[0].value), last, node)
        return _unread(node)

    def _placed(self, made: Node, node: ast.Call) -> Node:
        target = raw_get(made, "_target_")
        if isinstance(target, str):  # would be imported by whoever asks what it takes
            module, _, name = target.rpartition(".")
            raw_set(made, "_target_", StandIn((module, name), None, NEVER))
        set_position(made, WrittenCall(self.file, node, made, self.text))
        return made

    def _arguments(self, made: Node, node: ast.Call) -> Node:
        args = tuple(_settled(self.value(arg)) for arg in node.args)
        if args:
            raw_set(made, "_args_", args)
        for keyword in node.keywords:
            value = _settled(self.value(keyword.value))
            if keyword.arg is not None:
                raw_set(made, keyword.arg, value)
            elif isinstance(value, Node):
                for key, inner in dict.items(value):
                    raw_set(made, key, inner)
            else:  # may bring any argument
                self.files.unsure[id(made)] = made
        return made

    def _other_file(self, path: str, reader: str, node: ast.Call) -> Any:
        folder = _zoo() if reader == "get_config" else Path(self.file).parent
        file = os.path.abspath(folder / path)
        if len(node.args) > 1 or node.keywords or not file.endswith(".py") or not os.path.isfile(file):
            return _unread(node)
        return self.files.copied(_config_of(self.files.read(file)))


def _settled(value: Any) -> Any:
    """Return a value as it is in a config."""
    if isinstance(value, _Module):
        return value.named()
    if isinstance(value, _ConfigFile):
        return Unread("a config file")
    return Unread(f"L({value.target})") if isinstance(value, _Maker) else value


def _unread(node: ast.AST) -> Unread:
    return Unread(" ".join(ast.unparse(node).split())[:200])


def _zoo() -> Path:
    file = locate_module("lazycfg")
    inside = Path(str(file)).parent / "model_zoo"
    return inside if inside.is_dir() else Path(str(file)).parents[1] / "model_zoo"


def _file_at(folder: Path, words: list[str]) -> str | None:
    """Return the file of a module in a folder of configs, or of a package."""
    place = folder.joinpath(*words)
    for file in (place.with_suffix(".py") if words else place / "__init__.py", place / "__init__.py"):
        if file.is_file():
            return str(file)
    return None
