"""Whether the text of a file still gives the code that runs."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterable
from types import CodeType

from lazycfg.config.formats.class_changes import CaptureError

_FLAGS = ~(0x10 | 0x20000 | 0x80000 | 0x100000 | 0x1000000)  # "nested" and the flags of __future__ imports
_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def compiles_to(written: ast.Lambda, code: CodeType, cells: Iterable[str], tree: ast.Module) -> bool:
    """Return whether a lambda expression, with these local variables around it, compiles to `code`.

    Calls of names that the same unit imports are compiled differently, so the imports are tried too:
    a notebook compiles each statement for itself.
    """
    imports = "".join(
        f"{ast.unparse(s)}\n" for s in ast.walk(tree) if isinstance(s, ast.Import | ast.ImportFrom)
    )
    expression = f"_ = {ast.unparse(written)}"
    for before in ("", imports):
        unit = compile(
            before + _in_factory(expression, tuple(cells)), code.co_filename, "exec", dont_inherit=True
        )
        outer = next((c for c in unit.co_consts if isinstance(c, CodeType) and c.co_name == "_factory"), unit)
        # those of its defaults come before it
        lambdas = [c for c in outer.co_consts if isinstance(c, CodeType) and c.co_name == "<lambda>"]
        if lambdas and same_code(lambdas[-1], code):
            return True
    return False


def compile_definition(source: str, file: str, cells: tuple[str, ...]) -> CodeType:
    """Compile a definition as it will be written: in a module, or in a factory of its cells."""
    return compile(_in_factory(source, cells), file, "exec", dont_inherit=True)


def _in_factory(source: str, cells: tuple[str, ...]) -> str:
    return f"def _factory({', '.join(cells)}):\n{textwrap.indent(source, '    ')}" if cells else source


def not_what_runs(file: str) -> CaptureError:
    """Return the refusal of an object of which the source is not there any more."""
    return CaptureError(f"its source in {file} is not what runs (edited after loading?): load it again")


def verify(code: CodeType, lines: list[str]) -> None:
    """Check that the file, as it is now, still contains the code that runs.

    A notebook compiles each statement of a cell for itself, which makes other code of calls of imported
    names.
    """
    text = "".join(lines)
    tree = ast.parse(text)
    statements = [s for s in tree.body if s.lineno <= code.co_firstlineno <= (s.end_lineno or s.lineno)]
    decorated = [s for s in tree.body if isinstance(s, _Definition) and s.decorator_list]
    units = [text, *(ast.Module([statement], []) for statement in dict.fromkeys([*statements, *decorated]))]
    for unit in units:
        work = [compile(unit, code.co_filename, "exec", dont_inherit=True)]  # type: ignore[call-overload]
        while work:
            found = work.pop()
            here = (found.co_firstlineno, found.co_name) == (code.co_firstlineno, code.co_name)
            if here and same_code(found, code) and list(found.co_positions()) == list(code.co_positions()):
                return
            work.extend(inner for inner in found.co_consts if isinstance(inner, CodeType))
    raise not_what_runs(code.co_filename)


def same_code(first: CodeType, second: CodeType) -> bool:
    """Return whether two code objects do the same, wherever they were written."""
    return _anywhere(first) == _anywhere(second)


def _anywhere(code: CodeType) -> CodeType:
    """Return a code object without the place where it was written."""
    return code.replace(
        co_consts=tuple(_anywhere(c) if isinstance(c, CodeType) else c for c in code.co_consts),
        co_filename="",
        co_firstlineno=1,
        co_flags=code.co_flags & _FLAGS,
        co_linetable=b"",
        co_name="",
        co_qualname="",
    )
