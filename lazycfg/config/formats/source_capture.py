"""Functions and classes of config files as source code, with the objects that their names stand for.

`capture` finds the definition in its file, checks that compiling it gives the very code of the object (a
file that was edited after loading does not pass), and lists what it refers to: *eager* names are needed
while the definition runs (bases, decorators, defaults), *lazy* ones when the function is called. A function
that closes over local variables is wrapped into a factory that receives them.
"""

from __future__ import annotations

import ast
import builtins
import dis
import functools
import linecache
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import CodeType, FunctionType
from typing import Any

from lazycfg.config.errors import with_article
from lazycfg.config.formats.class_changes import CaptureError, refuse_changed
from lazycfg.config.formats.same_code import compile_definition, compiles_to, not_what_runs, verify
from lazycfg.config.tree.targets import config_file_of

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_EAGER_CODE = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"})
_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_GLOBALS"})
_IN_A_CLASS = frozenset({"__name__", "__qualname__", "__module__"})
_CO_OPTIMIZED = 0x1
_CO_ANNOTATIONS = 0x1000000


@dataclass
class Captured:
    """A definition as source.

    Attributes:
        name: the name that the definition itself gives to the object.
        source: a ``def`` or ``class`` statement, or the expression of a lambda.
        is_lambda: whether ``source`` is an expression.
        eager: objects by name that must exist before the definition runs.
        lazy: objects by name that must exist when the function is called.
        cells: local variables by name that the function closes over.
    """

    name: str
    source: str
    is_lambda: bool
    eager: dict[str, Any] = field(default_factory=dict)
    lazy: dict[str, Any] = field(default_factory=dict)
    cells: dict[str, Any] = field(default_factory=dict)


def capture(obj: Any) -> Captured:
    """Return the source of a function, lambda or class.

    Raises:
        CaptureError: it has no source, the source has changed, or its names cannot be followed.
    """
    if isinstance(obj, type):
        return _capture_class(obj)
    if len(getattr(obj, "registry", ())) > 1 and hasattr(obj, "register"):
        raise CaptureError("functions were registered with it after its definition")
    function = obj
    while not isinstance(function, FunctionType) or _is_wrapper(function):
        inner = getattr(function, "__wrapped__", None)
        if inner is None:
            break
        function = inner
    if not isinstance(function, FunctionType):
        raise CaptureError(f"cannot save {with_article(type(obj).__qualname__)}: it has no source")
    return _capture_function(function, decorated=function is not obj)


def _is_wrapper(function: FunctionType) -> bool:
    """Return whether a decorator (by functools.wraps) put the function around the one it is named after."""
    return hasattr(function, "__wrapped__") and function.__code__.co_name != function.__name__


# ------------------------------------------------------------------------------- functions


def _capture_function(function: FunctionType, *, decorated: bool) -> Captured:
    code = function.__code__
    tree, lines = _parse(code.co_filename)
    if code.co_name == "<lambda>":
        return _capture_lambda(function, tree, lines)
    definition = _find_function(code, tree)
    if decorated and not definition.decorator_list:
        raise CaptureError("a wrapper was put around it after its definition")
    changed = False
    if definition.decorator_list and not decorated and not _hands_back(function, definition):
        definition.decorator_list = []  # it is what the decorators were given, not what they made
        changed = True
    if function.__dict__ and not definition.decorator_list:
        names = ", ".join(map(repr, function.__dict__))
        raise CaptureError(f"it was given attributes after its definition: {names}")
    cells = _cells(function)
    own_name = {definition.name: function}
    frozen, extra = _freeze_defaults(function, definition.args)
    changed |= frozen
    if code.co_flags & _CO_ANNOTATIONS:
        changed |= _quote_annotations(definition)
    source = ast.unparse(definition) if changed else _segment(definition, lines)
    compiled = compile_definition(source, code.co_filename, tuple(cells))
    verify(code, lines)
    eager, lazy = _referenced(compiled, {**function.__globals__, **own_name, **extra})
    lazy.pop(definition.name, None)
    cells.pop(definition.name, None) if cells.get(definition.name) is function else None
    return Captured(definition.name, source, False, eager, lazy, cells)


def _hands_back(function: FunctionType, definition: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return whether the decorators of a definition gave back the function itself, as torch.jit.ignore does:
    they run again with the definition.
    """
    return function.__globals__.get(definition.name) is function


def _capture_lambda(function: FunctionType, tree: ast.Module, lines: list[str]) -> Captured:
    code = function.__code__
    verify(code, lines)
    if function.__dict__:
        raise CaptureError(f"it was given attributes: {', '.join(map(repr, function.__dict__))}")
    # the first instruction stands for the whole line; what is computed lies inside the lambda
    spots = [
        (p[0], p[2]) for p in code.co_positions() if p[0] is not None and p[2] is not None and p[2:] != (0, 0)
    ]
    around = [
        found
        for found in ast.walk(tree)
        if isinstance(found, ast.Lambda) and all(_begin(found) <= spot < _end(found) for spot in spots)
    ]
    if not around:
        raise not_what_runs(code.co_filename)
    cells = _cells(function)
    # of a lambda that returns a lambda, all that is computed lies inside both
    same = [found for found in around if compiles_to(found, code, cells, tree)]
    if not same:
        raise not_what_runs(code.co_filename)
    written = ast.parse(ast.unparse(max(same, key=_begin)), mode="eval").body
    assert isinstance(written, ast.Lambda)
    _, extra = _freeze_defaults(function, written.args)
    source = ast.unparse(written)
    compiled = compile_definition(f"_ = {source}", code.co_filename, tuple(cells))
    eager, lazy = _referenced(compiled, {**function.__globals__, **extra})
    return Captured("<lambda>", source, True, eager, lazy, cells)


def _begin(node: ast.expr) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _end(node: ast.expr) -> tuple[int, int]:
    return node.end_lineno or node.lineno, node.end_col_offset or 0


def _find_function(code: CodeType, tree: ast.Module) -> ast.FunctionDef | ast.AsyncFunctionDef:
    for found in ast.walk(tree):
        if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef) and found.name == code.co_name:
            first = min([found.lineno, *(d.lineno for d in found.decorator_list)])
            if first == code.co_firstlineno:
                return found
    raise not_what_runs(code.co_filename)


def _cells(function: FunctionType) -> dict[str, Any]:
    cells = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            cells[name] = cell.cell_contents
        except ValueError:
            raise CaptureError(f"it closes over {name!r}, which has no value yet") from None
    if "__class__" in cells:
        raise CaptureError("it is a method: save its class")
    return cells


def shared_state(obj: Any) -> list[tuple[str, int]]:
    """Return the local variables around a function that another function may change: (name, id of what is
    changed).

    Each function that is saved gets variables of its own, so two that work on one would part.
    """
    function = obj if isinstance(obj, FunctionType) else getattr(obj, "__wrapped__", None)
    if not isinstance(function, FunctionType):
        return []
    stored = {i.argval for i in dis.get_instructions(function.__code__) if i.opname == "STORE_DEREF"}
    found = []
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            value = cell.cell_contents
        except ValueError:  # no value yet: `_cells` says so
            continue
        if isinstance(value, list | set | bytearray) or type(value) is dict:
            found.append((name, id(value)))
        elif name in stored:
            found.append((name, id(cell)))
    return found


def _freeze_defaults(function: FunctionType, arguments: ast.arguments) -> tuple[bool, dict[str, Any]]:
    """Make defaults independent of where they were computed: all but literals become names of values."""
    values: dict[str, Any] = {}
    changed = False

    def frozen(expression: ast.expr, value: Any, parameter: str) -> ast.expr:
        nonlocal changed
        try:
            if type(value) is type(written := ast.literal_eval(expression)) and value == written:
                return expression
        except (ValueError, TypeError, SyntaxError):
            pass
        if isinstance(expression, ast.Name) and function.__globals__.get(expression.id, function) is value:
            return expression
        changed = True
        name = f"_default_{parameter}"
        values[name] = value
        return ast.Name(name, ast.Load())

    positional = [*arguments.posonlyargs, *arguments.args]
    defaults = function.__defaults__ or ()
    if len(defaults) != len(arguments.defaults):
        raise CaptureError("its defaults were changed after its definition")
    for index, value in enumerate(defaults):
        parameter = positional[len(positional) - len(defaults) + index].arg
        arguments.defaults[index] = frozen(arguments.defaults[index], value, parameter)
    keyword_defaults = function.__kwdefaults__ or {}
    for index, argument in enumerate(arguments.kwonlyargs):
        expression = arguments.kw_defaults[index]
        if expression is not None and argument.arg in keyword_defaults:
            arguments.kw_defaults[index] = frozen(expression, keyword_defaults[argument.arg], argument.arg)
    return changed, values


def _quote_annotations(definition: ast.AST) -> bool:
    """Turn annotations into strings, as in a file with ``from __future__ import annotations``; return whether
    there were any.
    """
    changed = False
    for found in ast.walk(definition):
        for attribute in ("annotation", "returns"):
            expression = getattr(found, attribute, None)
            if isinstance(expression, ast.expr):
                setattr(found, attribute, ast.Constant(ast.unparse(expression)))
                changed = True
    return changed


# ------------------------------------------------------------------------------- classes


def _capture_class(cls: type) -> Captured:
    functions = [f for f in map(_function_of, vars(cls).values()) if f is not None]
    own = [f for f in functions if f.__module__ == cls.__module__]
    file = config_file_of(cls.__module__) or getattr(sys.modules.get(cls.__module__), "__file__", None)
    file = next(
        (f.__code__.co_filename for f in own if not f.__code__.co_filename.startswith("<string>")), file
    )
    if file is None:
        raise CaptureError("the file of its definition is not known")
    tree, lines = _parse(file)
    matching = [
        found
        for path, found in _definitions(tree, "")
        if isinstance(found, ast.ClassDef) and path == cls.__qualname__.replace(".<locals>", "")
    ]
    if not matching:
        raise CaptureError(f"no class statement of that name is found in {file}")
    definition = matching[-1]
    refuse_changed(cls, definition)
    future = any(
        isinstance(s, ast.ImportFrom)
        and s.module == "__future__"
        and any(a.name == "annotations" for a in s.names)
        for s in tree.body
    )
    changed = future and _quote_annotations(definition)
    source = ast.unparse(definition) if changed else _segment(definition, lines)
    cells: dict[str, Any] = {}
    for function in own:
        if function.__code__.co_filename != file:
            continue  # made by a decorator such as dataclass
        verify(function.__code__, lines)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            if name != "__class__":
                cells[name] = cell.cell_contents
    compiled = compile_definition(source, file, tuple(cells))
    namespace = own[0].__globals__ if own else {b.__name__: b for b in cls.__mro__[1:]} | _imports(tree)
    _refuse_locals(compiled, _locals_around(tree, definition) - cells.keys())
    eager, lazy = _referenced(compiled, namespace, strict=not own)
    for names in (eager, lazy):
        names.pop(cls.__name__, None)
    return Captured(cls.__name__, source, False, eager, lazy, cells)


def _locals_around(tree: ast.Module, definition: ast.ClassDef) -> set[str]:
    """Return the local variables of the functions that a class statement is in."""
    found: set[str] = set()
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        inside = list(ast.walk(function))
        if definition in inside:
            found |= {inner.arg for inner in ast.walk(function.args) if isinstance(inner, ast.arg)}
            found |= {i.id for i in inside if isinstance(i, ast.Name) and isinstance(i.ctx, ast.Store)}
            found |= {
                i.name for i in inside if isinstance(i, _Definition) and i not in (function, definition)
            }
    return found


def _refuse_locals(compiled: CodeType, names: set[str]) -> None:
    """Refuse a class whose body, bases or defaults use a variable of the function that made it: what the
    variable held is not known any more.
    """
    work = [compiled]
    while work:
        code = work.pop()
        instructions = list(dis.get_instructions(code))
        stored = {i.argval for i in instructions if i.opname == "STORE_NAME"}
        for instruction in instructions:
            name = instruction.argval
            if instruction.opname in _LOADS and name in names - stored:
                raise CaptureError(
                    f"it uses {name!r}, a variable of the function that makes it: define the class at the "
                    "top of a file, or hand the value to its constructor"
                )
        for inner in code.co_consts:
            if isinstance(inner, CodeType) and (
                not inner.co_flags & _CO_OPTIMIZED or inner.co_name == "_factory"
            ):
                work.append(inner)


def _function_of(value: Any) -> FunctionType | None:
    if isinstance(value, staticmethod | classmethod):
        value = value.__func__
    elif isinstance(value, property):
        value = value.fget
    elif isinstance(value, functools.cached_property):
        value = value.func
    value = getattr(value, "__wrapped__", value)
    return value if isinstance(value, FunctionType) else None


def _definitions(tree: ast.AST, prefix: str) -> Iterator[tuple[str, _Definition]]:
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, _Definition):
            path = f"{prefix}{child.name}"
            yield path, child
            yield from _definitions(child, f"{path}.")
        else:
            yield from _definitions(child, prefix)


def _imports(tree: ast.Module) -> dict[str, Any]:
    """Return what the imports of a file bind, for a class without a function to ask for its globals."""
    bound: dict[str, Any] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                name = alias.name if alias.asname else alias.name.partition(".")[0]
                if name in sys.modules:
                    bound[alias.asname or name] = sys.modules[name]
        elif (
            isinstance(statement, ast.ImportFrom) and not statement.level and statement.module in sys.modules
        ):
            module = sys.modules[statement.module]
            for alias in statement.names:
                if hasattr(module, alias.name):
                    bound[alias.asname or alias.name] = getattr(module, alias.name)
    return bound


# ------------------------------------------------------------------------------- source and code


def _parse(file: str) -> tuple[ast.Module, list[str]]:
    linecache.checkcache(file)
    lines = linecache.getlines(file)
    if not lines:
        raise CaptureError(f"there is no source file {file}")
    try:
        return ast.parse("".join(lines)), lines
    except SyntaxError:
        raise not_what_runs(file) from None


def _segment(definition: _Definition, lines: list[str]) -> str:
    """Return the text of a definition with its decorators and comments, without the indentation around it."""
    first = min([definition.lineno, *(d.lineno for d in definition.decorator_list)])
    text = "".join(lines[first - 1 : definition.end_lineno])
    dedented = textwrap.dedent(text).rstrip()
    try:
        parsed = ast.parse(dedented).body
    except SyntaxError:
        return ast.unparse(definition)
    # several statements on one line, or a multi-line string that the dedent has changed
    same = len(parsed) == 1 and ast.dump(parsed[0]) == ast.dump(definition)
    return dedented if same else ast.unparse(definition)


def _referenced(
    module_code: CodeType, namespace: dict[str, Any], *, strict: bool = False
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (eager, lazy) global names of a compiled definition with their values, but builtins."""
    eager: dict[str, Any] = {}
    lazy: dict[str, Any] = {}
    work = [(module_code, True)]
    while work:
        code, now = work.pop()
        stored = {i.argval for i in dis.get_instructions(code) if i.opname == "STORE_NAME"} | _IN_A_CLASS
        for instruction in dis.get_instructions(code):
            name = instruction.argval
            if instruction.opname not in _LOADS:
                continue
            if name in namespace and not (name.startswith("__") and name.endswith("__")):
                (eager if now else lazy)[name] = namespace[name]
            elif strict and not hasattr(builtins, name) and name not in stored:
                raise CaptureError(
                    f"it uses {name!r}, of which the value is not known any more (a class without functions "
                    "does not remember its file): write the value itself"
                )
        for inner in code.co_consts:
            if isinstance(inner, CodeType):
                runs_now = now and (inner.co_name in _EAGER_CODE or not inner.co_flags & _CO_OPTIMIZED)
                runs_now |= now and inner.co_name == "_factory"
                work.append((inner, runs_now))
    return dict(sorted(eager.items())), {k: v for k, v in sorted(lazy.items()) if k not in eager}
