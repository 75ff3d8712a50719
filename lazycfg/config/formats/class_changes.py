"""Whether a class is still what its source says: attributes that were set, replaced or deleted after its
definition would be lost when only the source is kept.
"""

from __future__ import annotations

import abc
import ast
from types import FunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import Any

_UNKNOWN: Any = object()


class CaptureError(ValueError):
    """Why an object cannot be kept as source."""


def refuse_changed(cls: type, definition: ast.ClassDef) -> None:
    """Raise `CaptureError` for a class whose attributes are not those of its statement.

    Only plain classes are judged: what a decorator, a metaclass or a base's `__init_subclass__` adds is not
    in the statement, and comes again when the statement runs. Of an attribute that is computed only the name
    is compared.
    """
    hooks = any("__init_subclass__" in vars(base) for base in cls.__mro__[1:-1])
    if definition.decorator_list or definition.keywords or hooks or type(cls) not in (type, abc.ABCMeta):
        return
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):  # typing.NamedTuple
        return
    bound = _bound_names(definition)
    held = {name: value for name, value in vars(cls).items() if _is_own(name, value, bound)}
    for name, value in held.items():
        if name not in bound:
            raise CaptureError(f"its attribute {name!r} was set after its definition")
        if not _may_be(value, bound[name]):
            raise CaptureError(f"its attribute {name!r} was changed after its definition")
    for name in bound.keys() - held.keys():
        if bound[name] is not _UNKNOWN and name not in vars(cls):
            raise CaptureError(f"its attribute {name!r} was deleted after its definition")


def _is_own(name: str, value: Any, bound: dict[str, Any]) -> bool:
    """Return whether an attribute is not one that Python gives to every class."""
    if name in bound:
        return True
    if isinstance(value, GetSetDescriptorType | MemberDescriptorType) or name == "_abc_impl":
        return False
    return not (name.startswith("__") and name.endswith("__")) or isinstance(value, FunctionType)


def _bound_names(definition: ast.ClassDef) -> dict[str, Any]:
    """Return the names that the body of a class binds: to a definition, to the expression of an assignment,
    or `_UNKNOWN`.
    """
    bound: dict[str, Any] = {}
    for statement in definition.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound[statement.name] = statement
        elif isinstance(statement, ast.Assign):
            for target in statement.targets:
                value = statement.value if isinstance(target, ast.Name) else _UNKNOWN
                bound |= dict.fromkeys(_names_within(target), value)
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            if statement.value is not None:
                bound[statement.target.id] = statement.value
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            bound |= {(a.asname or a.name.partition(".")[0]): _UNKNOWN for a in statement.names}
        else:
            bound |= dict.fromkeys(_names_within(statement), _UNKNOWN)
    hidden = definition.name.lstrip("_")
    return {
        (f"_{hidden}{name}" if name.startswith("__") and not name.endswith("__") else name): node
        for name, node in bound.items()
    }


def _names_within(statement: ast.AST) -> list[str]:
    """Return every name that a compound statement may bind or delete."""
    names = []
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.append(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.alias):
            names.append(node.asname or node.name.partition(".")[0])
    return names


def _may_be(value: Any, written: Any) -> bool:
    """Return whether an attribute may be what its definition or expression gave."""
    if isinstance(written, ast.FunctionDef | ast.AsyncFunctionDef):
        if written.decorator_list:
            return True
        if isinstance(value, staticmethod | classmethod):  # __new__, __init_subclass__, __class_getitem__
            value = value.__func__
        code = getattr(value, "__code__", None)
        return code is not None and (code.co_name, code.co_firstlineno) == (written.name, written.lineno)
    if isinstance(written, ast.ClassDef):
        return isinstance(value, type) or bool(written.decorator_list)
    if written is _UNKNOWN:
        return True
    try:
        literal = ast.literal_eval(written)
    except (ValueError, TypeError, SyntaxError, MemoryError):
        return True
    return type(value) is type(literal) and repr(value) == repr(literal)
