"""What a target takes, read from its source: for commands that only look at a config and must not import.

`source_signature` finds the definition of a name in the files of its package, through re-exports and base
classes, and makes a `Signature` of it. Whatever it is not sure of (a decorator that it does not know, a
metaclass, a base that it cannot find, a compiled module) it leaves: None means "import it and see".
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property, lru_cache
from inspect import Parameter
from pathlib import Path
from typing import Any

from lazycfg.config.signatures.callables import Signature, Spelled
from lazycfg.config.signatures.forwarding import handed_on, with_those_of_base
from lazycfg.config.signatures.modules import locate_module
from lazycfg.config.signatures.types import fits

_IMPORT = re.compile(r"^from[ \t]+([.\w]+)[ \t]+import[ \t]+(\([^)]*\)|[^\n]*)", re.MULTILINE)
_END = re.compile(r"^(?![ \t\n#)\]}]|$)", re.MULTILINE)  # the next statement at the left margin
_PLAIN_DECORATORS = frozenset(("final", "runtime_checkable", "total_ordering", "typing.final"))
_ROOTS = frozenset(("object", "Generic", "ABC", "abc.ABC", "typing.Generic"))
_KNOWN = frozenset(("nn.Module", "torch.nn.Module"))  # has neither a `__new__` nor a metaclass
_DEEPEST = 12


class Unsure(Exception):
    """The source does not tell for certain."""


class Definition:
    """A class or function in a source file.

    Attributes:
        module, file: where it is defined.
        node: its statement.
        above: how many lines stand above it.
        bound: whether it is a method that is given its class.
        docs: the docstrings that may tell of its parameters, the nearest first.
        handed: those of its parameters that it hands on to a base, each with the definition of the base.
        line: where its parameters are written.
    """

    __slots__ = ("above", "bound", "docs", "file", "handed", "line", "module", "node")

    def __init__(self, module: str, file: str, node: Any, above: int, bound: bool = False):
        self.module = module
        self.file = file
        self.node = node
        self.bound = bound
        self.docs: list[str] = []
        self.handed: dict[str, Definition] = {}
        self.above = above
        self.line: int = above + node.lineno


class SourceSignature(Signature):
    """A signature that was read from source; `definition` is where."""

    def __init__(self, target: Any, parameters: dict[str, Parameter], definition: Definition):
        super().__init__(target, parameters, definition.handed)
        self.wrapped = False
        self.definition = definition

    @cached_property
    def hints(self) -> dict[str, Any]:
        """Return the annotations that name nothing but builtins; the others are known to whoever imports."""
        found = {}
        for name, parameter in self.parameters.items():
            with suppress(Unsure, SyntaxError, TypeError):  # a name that only the module knows
                found[name] = _built_in(ast.parse(str(parameter.annotation), mode="eval").body)
        return found

    def surely_takes(self, name: str, value: Any) -> bool:
        """Return whether a parameter takes a literal, whatever the parts of its annotation are that only the
        module knows.
        """
        parameter = self.parameters.get(name)
        if parameter is None or parameter.annotation is Parameter.empty:
            return True
        module = self.handed.get(name, self.definition).module
        try:
            parts = _union(ast.parse(str(parameter.annotation), mode="eval").body)
        except SyntaxError:
            return False
        for part in parts:
            try:
                if isinstance(part, ast.Name) and not hasattr(builtins, part.id) and len(parts) < 50:
                    parts += _union(_find_assigned(f"{module}.{part.id}"))
                elif fits(value, _built_in(part), parameter.default):
                    return True
            except (Unsure, TypeError, OSError, SyntaxError):
                continue
        return False


def _union(annotation: ast.expr) -> list[ast.expr]:
    """Return the members of a union, written in any way; any other annotation is the only one."""
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        return [*_union(annotation.left), *_union(annotation.right)]
    if isinstance(annotation, ast.Subscript):
        name = ast.unparse(annotation.value).rpartition(".")[2]
        inner = annotation.slice
        if name in ("Union", "Optional"):
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            found = [member for part in parts for member in _union(part)]
            return [*found, ast.Constant(None)] if name == "Optional" else found
    return [annotation]


def _built_in(annotation: ast.expr) -> Any:
    """Return the type that an annotation of nothing but built-in types stands for: put together, never
    evaluated.
    """
    if isinstance(annotation, ast.Constant) and annotation.value in (None, ...):
        return annotation.value
    if isinstance(annotation, ast.Name):
        found = getattr(builtins, annotation.id, None)
        if isinstance(found, type):
            return found
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        return _built_in(annotation.left) | _built_in(annotation.right)
    if isinstance(annotation, ast.Subscript):
        return _built_in(annotation.value)[_built_in(annotation.slice)]
    if isinstance(annotation, ast.Tuple):
        return tuple(map(_built_in, annotation.elts))
    raise Unsure(ast.unparse(annotation))


def source_signature(name: str, target: Any = None) -> SourceSignature | None:
    """Return the signature of ``package.module.Name``; None when it must be imported to know.

    Args:
        name: the dotted name.
        target: what the signature is said to be of; the name by default.
    """
    read = _read_signature(name)
    return None if read is None else SourceSignature(name if target is None else target, *read)


@lru_cache(maxsize=1024)
def _read_signature(name: str) -> tuple[dict[str, Parameter], Definition] | None:
    try:
        found = find_definition(name)
        if isinstance(found.node, ast.ClassDef):
            parameters = _of_class(found, found, 0)
        else:
            parameters = _of_function(found.node, skip_first=found.bound)
            found.docs += _doc(found.node)
    except (Unsure, OSError, SyntaxError, ValueError, RecursionError):
        return None
    return parameters, found


def find_constant(name: str) -> Any:
    """Return the literal that a module assigns to ``package.module.NAME``, once and at its top.

    Raises:
        Unsure: it is not found, or not for certain.
    """
    try:
        return ast.literal_eval(_find_assigned(name))
    except (ValueError, TypeError):
        raise Unsure(name) from None


@lru_cache(maxsize=1024)
def _find_assigned(name: str, depth: int = 0) -> ast.expr:
    module, _, last = name.rpartition(".")
    file = locate_module(module)
    if file is None or not file.endswith(".py") or depth > _DEEPEST:
        raise Unsure(name)
    found = re.findall(rf"^{re.escape(last)}\b[^=\n]*=(?!=)", _source(file), re.MULTILINE)
    if not found:
        return _find_assigned(_imported_from(module, file, last), depth + 1)
    for statement in _parsed(_source(file)) if len(found) == 1 else ():
        if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
            continue
        target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
        if isinstance(target, ast.Name) and target.id == last:
            return statement.value
    raise Unsure(name)


def find_definition(name: str, depth: int = 0) -> Definition:
    """Return the definition that a dotted name leads to.

    Raises:
        Unsure: it is not found, or not for certain.
    """
    parts = name.split(".")
    for end in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:end])
        file = locate_module(module)
        if file is not None:
            if not file.endswith(".py") or depth > _DEEPEST:
                raise Unsure(name)
            return _in_module(module, file, parts[end:], depth)
    raise Unsure(name)


@lru_cache(maxsize=256)
def _source(file: str) -> str:
    return Path(file).read_text(encoding="utf-8")


def _in_module(module: str, file: str, names: list[str], depth: int) -> Definition:
    first, *rest = names
    found = _statement(file, first)
    if found is None:
        return find_definition(".".join((_imported_from(module, file, first), *rest)), depth + 1)
    definition = Definition(module, file, *found)
    if not rest:
        return definition
    if len(rest) > 1 or not isinstance(definition.node, ast.ClassDef):
        raise Unsure(first)
    return _method(definition, rest[0], depth)


@lru_cache(maxsize=1024)
def _statement(file: str, name: str) -> tuple[Any, int] | None:
    """Return the only class or function of that name at the top of a file, parsed alone, and how many lines
    stand above it; None when there is none.
    """
    source = _source(file)
    starts = list(re.finditer(rf"^(?:class|def|async def)\s+{re.escape(name)}\b", source, re.MULTILINE))
    if re.search(rf"^{re.escape(name)}\s*[:=]|^[ \t]+(?:class|def)[ \t]+{re.escape(name)}\b(?![^\n]*self)",
                 source, re.MULTILINE) and not starts:  # fmt: skip
        raise Unsure(name)
    if not starts:
        return None
    if len(starts) > 1:
        raise Unsure(name)  # overloads, or one for each platform
    start = starts[0].start()
    while start and source[: start - 1].rpartition("\n")[2].startswith("@"):
        start = source.rfind("\n", 0, start - 1) + 1
    if source[:start].endswith("\n)\n"):  # a decorator of several lines
        raise Unsure(name)
    stop = _END.search(source, starts[0].end())
    block = source[start : stop.start() if stop else len(source)]
    try:
        (node,) = _parsed(block)
    except SyntaxError:  # a text in it has lines that begin at the margin
        (node,) = (n for n in _parsed(source) if getattr(n, "name", None) == name)
        return node, 0
    return node, source.count("\n", 0, start)


@lru_cache(maxsize=2048)
def _parsed(text: str) -> list[ast.stmt]:
    """Return the statements of a text. Its meaning does not change, so they are not forgotten with a file."""
    return ast.parse(text).body


def forget_sources() -> None:
    """Read the files of packages anew, for a process that lives while they are edited."""
    for function in (_read_signature, _find_assigned, _source, _statement):
        function.cache_clear()


def _imported_from(module: str, file: str, name: str) -> str:
    """Return the dotted name that a name at the top of a module was imported by."""
    source = _source(file)
    is_package = file.endswith("__init__.py")
    found = None
    for match in _IMPORT.finditer(source):
        if not re.search(rf"\b{re.escape(name)}\b", match[2]):
            continue
        statement: Any = _parsed(match[0])[0]
        for alias in statement.names:
            if (alias.asname or alias.name) != name:
                continue
            if found is not None:
                raise Unsure(name)
            base = module.split(".")
            up = statement.level - (1 if is_package else 0)
            above = base[: len(base) - up] if statement.level else []
            found = ".".join([*above, *([statement.module] if statement.module else []), alias.name])
    if found is None:
        found = _from_star(module, source, name, is_package)
    if found is None:
        plain = re.search(rf"^import[ \t]+([.\w]+)(?:[ \t]+as[ \t]+{re.escape(name)})?[ \t]*$", source, re.M)
        if plain is None or (plain[1] != name and not plain[0].rstrip().endswith(f"as {name}")):
            raise Unsure(name)
        found = plain[1]
    return found


def _from_star(module: str, source: str, name: str, is_package: bool) -> str | None:
    """Return the dotted name that ``from x import *`` brings a name by."""
    for match in _IMPORT.finditer(source):
        if not match[2].lstrip().startswith("*"):
            continue
        base = module.split(".")
        up = len(match[1]) - len(match[1].lstrip("."))
        above = base[: len(base) - up + (1 if is_package else 0)] if up else []
        dotted = ".".join([*above, *([match[1][up:]] if match[1][up:] else []), name])
        try:
            find_definition(dotted, 1)
        except Unsure:
            continue
        return dotted
    return None


# ---------------------------------------------------------------- parameters


def _of_class(first: Definition, definition: Definition, depth: int) -> dict[str, Parameter]:
    """Return the parameters of calling a class, from the first of it and its bases that says."""
    node = definition.node
    if depth > _DEEPEST or any(keyword.arg == "metaclass" for keyword in node.keywords):
        raise Unsure(node.name)
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    if any(text.partition("(")[0] in ("dataclass", "dataclasses.dataclass") for text in decorators):
        first.docs += _doc(node)
        return _fields(node, node.decorator_list)
    if any(text not in _PLAIN_DECORATORS for text in decorators):
        raise Unsure(node.name)
    methods = {part.name: part for part in node.body if isinstance(part, ast.FunctionDef)}
    if "__new__" in methods or any(_sets_init(part) for part in node.body):
        raise Unsure(node.name)
    init = methods.get("__init__")
    if init is not None:
        if init.decorator_list:
            raise Unsure(node.name)
        first.docs += [*_doc(init), *_doc(node)]
        first.file, first.line = definition.file, definition.above + init.lineno
        parameters = _of_function(init, skip_first=True)
        _require_no_new(definition, depth)
        return _with_handed(first, definition, init, parameters, depth)
    first.docs += _doc(node)
    bases = _bases(node)
    if len(bases) > 1:
        raise Unsure(node.name)
    if not bases:
        return {}
    return _of_class(first, _base(definition, bases[0]), depth + 1)


def _bases(node: ast.ClassDef) -> list[str]:
    bases = [ast.unparse(base).partition("[")[0] for base in node.bases]
    return [base for base in bases if base not in _ROOTS]


def _with_handed(
    first: Definition, definition: Definition, init: Any, own: dict[str, Parameter], depth: int
) -> dict[str, Parameter]:
    """Return the parameters of an `__init__`, with those that it hands on to a base where that is certain."""
    bases = _bases(definition.node)
    handed = handed_on(init)
    if handed is None or len(bases) > 1 or not _KNOWN.isdisjoint(bases) or _names_super(definition.file):
        return own
    if not bases:  # that of `object`, which takes nothing
        found = with_those_of_base(own, handed, {})
        return own if found is None else found[0]
    try:
        base = _base(definition, bases[0])
        found = with_those_of_base(own, handed, _of_class(base, base, depth + 1))
    except (Unsure, OSError, SyntaxError, ValueError):
        return own
    if found is None:
        return own
    first.docs += base.docs
    first.handed = {name: base.handed.get(name, base) for name in found[1]}
    return found[0]


def _names_super(file: str) -> bool:
    """Return whether a file may give another meaning to `super`."""
    return re.search(r"(?:def|class|import|as|,)\s+super\b|\bsuper\s*[:=]", _source(file)) is not None


def _base(definition: Definition, name: str) -> Definition:
    found = _in_module(definition.module, definition.file, name.split("."), 0)
    if not isinstance(found.node, ast.ClassDef):
        raise Unsure(name)
    return found


def _require_no_new(definition: Definition, depth: int) -> None:
    """Raise `Unsure` where something above a class decides how it is called: a `__new__`, a metaclass."""
    for base in definition.node.bases:
        name = ast.unparse(base).partition("[")[0]
        if name in _ROOTS or name in _KNOWN:
            continue
        if depth > _DEEPEST:
            raise Unsure(name)
        above = _base(definition, name)
        names = {part.name for part in above.node.body if isinstance(part, ast.FunctionDef)}
        if "__new__" in names or any(keyword.arg == "metaclass" for keyword in above.node.keywords):
            raise Unsure(name)
        _require_no_new(above, depth + 1)


def _sets_init(statement: Any) -> bool:
    """Return whether a statement of a class gives it an `__init__` or `__new__` without defining it."""
    return isinstance(statement, ast.Assign) and any(
        isinstance(target, ast.Name) and target.id in ("__init__", "__new__", "__signature__")
        for target in statement.targets
    )


def _fields(node: Any, decorators: list[Any]) -> dict[str, Parameter]:
    """Return the parameters of a plain dataclass."""
    options = {word.arg for word in getattr(decorators[0], "keywords", ())}
    methods = {part.name for part in node.body if isinstance(part, ast.FunctionDef)}
    if len(decorators) > 1 or node.bases or {"init", "kw_only", None} & options or "__init__" in methods:
        raise Unsure(node.name)
    parameters = {}
    for part in node.body:
        if not isinstance(part, ast.AnnAssign) or not isinstance(part.target, ast.Name):
            continue
        text = ast.unparse(part.annotation)
        if "ClassVar" in text or "InitVar" in text or (isinstance(part.value, ast.Call)):
            raise Unsure(node.name)
        arg = ast.arg(part.target.id, part.annotation)
        parameters[arg.arg] = _parameter(arg, Parameter.POSITIONAL_OR_KEYWORD, part.value)
    return parameters


def _method(definition: Definition, name: str, depth: int) -> Definition:
    """Return a class method or static method, of the class or of a base."""
    if depth > _DEEPEST:
        raise Unsure(name)
    for part in definition.node.body:
        if isinstance(part, ast.FunctionDef) and part.name == name:
            decorators = [ast.unparse(decorator) for decorator in part.decorator_list]
            if decorators not in (["classmethod"], ["staticmethod"]):
                raise Unsure(name)
            bound = decorators == ["classmethod"]
            return Definition(definition.module, definition.file, part, definition.above, bound)
    if len(definition.node.bases) != 1:
        raise Unsure(name)
    base = ast.unparse(definition.node.bases[0]).partition("[")[0]
    return _method(_base(definition, base), name, depth + 1)


def _of_function(node: Any, *, skip_first: bool) -> dict[str, Parameter]:
    decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
    if any(text not in ("classmethod", "staticmethod") for text in decorators):
        raise Unsure(node.name)
    parameters = list(_parameters(node.args))
    return {parameter.name: parameter for parameter in parameters[1 if skip_first else 0 :]}


def _parameters(args: ast.arguments) -> Iterator[Parameter]:
    plain = [*args.posonlyargs, *args.args]
    defaults: list[Any] = [None] * (len(plain) - len(args.defaults)) + list(args.defaults)
    for index, (arg, default) in enumerate(zip(plain, defaults, strict=True)):
        only = index < len(args.posonlyargs)
        yield _parameter(arg, Parameter.POSITIONAL_ONLY if only else Parameter.POSITIONAL_OR_KEYWORD, default)
    if args.vararg is not None:
        yield _parameter(args.vararg, Parameter.VAR_POSITIONAL, None)
    for arg, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        yield _parameter(arg, Parameter.KEYWORD_ONLY, default)
    if args.kwarg is not None:
        yield _parameter(args.kwarg, Parameter.VAR_KEYWORD, None)


def _parameter(arg: ast.arg, kind: Any, default: Any) -> Parameter:
    annotation: Any = Parameter.empty
    if arg.annotation is not None:
        text = arg.annotation.value if isinstance(arg.annotation, ast.Constant) else None
        annotation = Spelled(text if isinstance(text, str) else ast.unparse(arg.annotation))
    value: Any = Parameter.empty
    if default is not None:
        try:
            value = ast.literal_eval(default)
        except (ValueError, TypeError):
            value = Spelled(ast.unparse(default))
    return Parameter(arg.arg, kind, default=value, annotation=annotation)


def _doc(node: Any) -> list[str]:
    text = ast.get_docstring(node)
    return [text] if text else []
