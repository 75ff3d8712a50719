"""Arguments that a class hands on to its base.

A class whose `__init__(self, *, extra=1, **kwargs)` begins with `super().__init__(**kwargs)` takes what its
base takes, and nothing else. That is said only where the source proves it: handing them on is the first thing
that `__init__` does, and all else that it gives are plain names and constants. Then no code can have run
before that changes the arguments, skips the call or catches its error. Everywhere else `**kwargs` stands for
anything.
"""

from __future__ import annotations

from functools import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ast
    from inspect import Parameter
    from types import CodeType
    from typing import TypeAlias

    Handed: TypeAlias = "tuple[int, frozenset[str]]"
    # How many arguments a call gives its base by position, and which by name, besides `*args, **kwargs`.


def handed_on(init: ast.FunctionDef) -> Handed | None:
    """Return what `super().__init__(..., **kwargs)` gives a base; None where `init` begins otherwise."""
    import ast

    body = init.body[1:] if ast.get_docstring(init, clean=False) is not None else init.body
    statement = body[0] if body else None
    if init.args.kwarg is None or not isinstance(statement, ast.Expr):
        return None
    call = statement.value
    if not isinstance(call, ast.Call) or ast.unparse(call.func) != "super().__init__":
        return None
    rest = init.args.vararg.arg if init.args.vararg is not None else ""
    given = [a for a in call.args if ast.unparse(a) != f"*{rest}"]
    named = [word for word in call.keywords if word.arg is not None]
    keywords = [ast.unparse(word.value) for word in call.keywords if word.arg is None]
    plain = all(isinstance(value, ast.Name | ast.Constant) for value in (*given, *(w.value for w in named)))
    # In a class, Python changes names with two underscores in front.
    hidden = any(str(word.arg).startswith("__") for word in named)
    if keywords != [init.args.kwarg.arg] or not plain or hidden:
        return None
    return len(given), frozenset(str(word.arg) for word in named)


@lru_cache(maxsize=256)
def handed_on_by(code: CodeType) -> Handed | None:
    """Do `handed_on` for the code of an `__init__`; None, too, where no file has the source of it."""
    outside = {*code.co_names, *code.co_freevars}
    if not code.co_flags & 8 or not outside >= {"super", "__init__", "__class__"}:  # 8: it has a `**kwargs`
        return None
    if "super" in (*code.co_varnames, *code.co_cellvars, *code.co_freevars):
        return None
    import ast

    try:
        with open(code.co_filename, "rb") as stream:
            tree = ast.parse(stream.read())
        work = [compile(tree, code.co_filename, "exec", dont_inherit=True)]
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None
    for found in work:
        work += [inner for inner in found.co_consts if type(inner) is type(code)]
    for node in ast.walk(tree) if code in work else ():
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if first == code.co_firstlineno:
                return handed_on(node)
    return None


def with_those_of_base(
    own: dict[str, Parameter], handed: Handed, base: dict[str, Parameter]
) -> tuple[dict[str, Parameter], list[str]] | None:
    """Return the parameters of a class with those that its base gets by `**kwargs` in the place of these, and
    the names of the latter; None where two have the same name and it matters.
    """
    count, names = handed
    result = {name: p for name, p in own.items() if p.kind is not p.VAR_KEYWORD}
    taken = [name for name, p in base.items() if p.kind <= p.POSITIONAL_OR_KEYWORD][:count]
    added = []
    for name, p in base.items():
        if p.kind is p.VAR_KEYWORD and name not in result:
            result[name] = p
        elif p.kind is p.VAR_KEYWORD:
            return None
        elif p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and name not in names and name not in taken:
            if name not in result:
                result[name] = p.replace(kind=p.KEYWORD_ONLY)
                added.append(name)
            elif result[name].kind in (p.POSITIONAL_ONLY, p.VAR_POSITIONAL):
                return None
    return result, added
