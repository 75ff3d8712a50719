"""Deferred imports: stand-ins for what a config file imports, so that reading it does not import torch.

``from torch.nn import Conv2d`` gives a `Deferred` that knows its name. Recording a call
(``L(Conv2d)(...)``) needs no more. A call made by the file itself (``ShapeSpec(channels=64)``) gives a
`DeferredCall`, made when its result is used. Anything else that needs the real object (subclassing,
arithmetic, iteration, an attribute of a result, a comparison) imports it then and there.

A module or name that cannot be found without importing is imported at once, so that a wrong name ends in
the error that it would have ended in anyway. The standard library, this package's core and what is imported
already are imported as ever.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lazycfg.config.isolation.packages import locate_module
from lazycfg.config.isolation.session import python_import
from lazycfg.config.tree.targets import resolve_name

__all__ = ["Deferred", "DeferredCall", "deferred_import", "resolve_deferred"]

_MISSING: Any = object()
_DYNAMIC = re.compile(rb"def __getattr__|globals\(\)|__dict__")
_STAR = re.compile(rb"^[ \t]*from[ \t]+(\.*)([\w.]*)[ \t]+import[ \t]*\*", re.MULTILINE)
_REAL = ("lazycfg", "lazycfg.config", "lazycfg.model_zoo", "lazycfg.projects")
_read, _write = object.__getattribute__, object.__setattr__


def deferred_import(name: str, module_globals: Mapping[str, object] | None, fromlist: Sequence[str]) -> Any:
    """An absolute import that gives stand-ins; for `Session`."""
    if (
        name.partition(".")[0] in sys.stdlib_module_names
        or name in _REAL
        or name.startswith("lazycfg.config.")
    ):
        return python_import(name, module_globals, fromlist)
    known = sys.modules.get(name)
    if known is not None and "torch" in sys.modules:  # nothing is saved any more
        return python_import(name, module_globals, fromlist)
    file = locate_module(name)
    if file is None or "*" in fromlist or not all(_may_have(file, attribute) for attribute in fromlist):
        return python_import(name, module_globals, fromlist)
    return Deferred(name if fromlist else name.partition(".")[0], "")


def resolve_deferred(value: Any) -> Any:
    """What a stand-in stands for; any other value is itself."""
    return type(value).__lazycfg_resolve__(value) if isinstance(value, Deferred | DeferredCall) else value


def _may_have(file: str, attribute: str) -> bool:
    """Whether a module may have an attribute, as far as its source tells without running it."""
    path = Path(file)
    if path.suffix != ".py":
        return True
    source = path.read_bytes()
    if re.search(rb"\b%s\b" % re.escape(attribute.encode()), source) or _DYNAMIC.search(source):
        return True
    if any(_star_has(path, len(dots), name.decode(), attribute) for dots, name in _STAR.findall(source)):
        return True
    below = path.parent / attribute
    return path.name == "__init__.py" and (below.is_dir() or below.with_suffix(".py").is_file())


def _star_has(path: Path, dots: int, name: str, attribute: str) -> bool:
    """Whether ``from ..name import *`` in a file may bring an attribute."""
    if not dots:
        file = locate_module(name)
        return file is None or file == str(path) or _may_have(file, attribute)
    target = path.parents[dots - 1].joinpath(*name.split(".")) if name else path.parents[dots - 1]
    for found in (target / "__init__.py", target.with_suffix(".py")):
        if found.is_file() and found != path:
            return _may_have(str(found), attribute)
    return True


class _StandIn:
    """What both kinds have in common: every use that needs the object makes it."""

    __slots__ = ("_lz_value",)

    def __lazycfg_resolve__(self) -> Any:
        value = _read(self, "_lz_value")
        if value is _MISSING:
            value = self._lz_make()
            _write(self, "_lz_value", value)
        return value

    def __lazycfg_signature__(self) -> Any:
        return None

    def __lazycfg_kind__(self) -> str | None:
        """What it stands for: "module", "class" or "function"; None when only the object tells."""
        return None

    def __lazycfg_settled__(self) -> Any:
        """For a top-level name of a config: the object itself, where it may be data."""
        return self.__lazycfg_resolve__()

    def _lz_make(self) -> Any:
        raise AssertionError("a stand-in knows how to make its object")

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(resolve_deferred(self), name, value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return DeferredCall(self, args, kwargs)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return (resolve_deferred(self),)

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(resolve_deferred(instance), resolve_deferred(self))

    def __subclasscheck__(self, cls: type) -> bool:
        return issubclass(cls, resolve_deferred(self))

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self

    def __eq__(self, other: object) -> bool:
        return self is other or bool(resolve_deferred(self) == resolve_deferred(other))

    def __hash__(self) -> int:
        return hash(resolve_deferred(self))


class Deferred(_StandIn):
    """Stands for a module (``qualname`` empty) or for what is reached from it by attributes."""

    __slots__ = ("_lz_module", "_lz_qualname")
    _lz_may_fail = False  # whether it is known that there may be no such thing

    def __init__(self, module: str, qualname: str):
        _write(self, "_lz_module", module)
        _write(self, "_lz_qualname", qualname)
        _write(self, "_lz_value", _MISSING)

    def __lazycfg_name__(self) -> tuple[str, str]:
        """Module and name in it, as they were written."""
        return _read(self, "_lz_module"), _read(self, "_lz_qualname")

    def __lazycfg_signature__(self) -> Any:
        """What the source says that it takes; None when that is not sure, or when it is imported already."""
        if _read(self, "_lz_value") is not _MISSING or not _read(self, "_lz_qualname"):
            return None
        from lazycfg.config.signatures.source import source_signature

        return source_signature(str(self))

    def __lazycfg_kind__(self) -> str | None:
        if not _read(self, "_lz_qualname"):
            return "module"
        if type(self)._lz_may_fail:  # what it is cannot be known; nothing that is no class is missed by it
            return "class"
        if _read(self, "_lz_value") is not _MISSING:
            return None
        from lazycfg.config.signatures.source import Unsure, find_definition

        try:
            statement = type(find_definition(str(self)).node).__name__
        except (Unsure, OSError, SyntaxError, ValueError, RecursionError):
            return None
        return "class" if statement == "ClassDef" else "function"

    def __lazycfg_settled__(self) -> Any:
        """Itself for a function as its source tells, which is shown by its name."""
        return self if self.__lazycfg_kind__() is not None else self.__lazycfg_resolve__()

    def _lz_make(self) -> Any:
        return resolve_name(str(self))

    def __getattr__(self, name: str) -> Any:
        module, qualname = self.__lazycfg_name__()
        if name in ("__name__", "__qualname__"):
            return qualname or module
        if name == "__module__":
            return module
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        if not qualname:
            file = locate_module(f"{module}.{name}")
            if file is not None:
                return Deferred(f"{module}.{name}", "")
            own = locate_module(module)
            if own is not None and not _may_have(own, name):
                return getattr(resolve_deferred(self), name)
        return Deferred(module, f"{qualname}.{name}" if qualname else name)

    def __repr__(self) -> str:
        return ".".join(part for part in self.__lazycfg_name__() if part)

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Deferred):
            return str(self) == str(other) or resolve_deferred(self) is resolve_deferred(other)
        return bool(resolve_deferred(self) == other)

    def __hash__(self) -> int:
        return hash(resolve_deferred(self)) if _read(self, "_lz_value") is not _MISSING else hash(str(self))

    def __reduce__(self) -> Any:
        return resolve_name, (str(self),)


class DeferredCall(_StandIn):
    """Stands for the result of a call that a config file makes of something deferred."""

    __slots__ = ("_lz_args", "_lz_kwargs", "_lz_target")

    def __init__(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]):
        _write(self, "_lz_target", target)
        _write(self, "_lz_args", args)
        _write(self, "_lz_kwargs", kwargs)
        _write(self, "_lz_value", _MISSING)

    def __lazycfg_call__(self) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        """Target, arguments and keywords of the call."""
        return _read(self, "_lz_target"), _read(self, "_lz_args"), _read(self, "_lz_kwargs")

    def _lz_make(self) -> Any:
        target, args, kwargs = self.__lazycfg_call__()
        return resolve_deferred(target)(
            *map(resolve_deferred, args), **{k: resolve_deferred(v) for k, v in kwargs.items()}
        )

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return getattr(resolve_deferred(self), name)

    def __repr__(self) -> str:
        target, args, kwargs = self.__lazycfg_call__()
        shown = [*map(repr, args), *(f"{key}={value!r}" for key, value in kwargs.items())]
        name = getattr(target, "__name__", None) or repr(target)
        return f"{str(name).rpartition('.')[2]}({', '.join(shown)})"

    def __lazycfg_kind__(self) -> str | None:
        return "class" if getattr(type(_read(self, "_lz_target")), "_lz_may_fail", False) else None

    def __str__(self) -> str:  # what a config file makes of it is a value; messages take the repr
        return str(resolve_deferred(self))

    def __reduce__(self) -> Any:
        target, args, kwargs = self.__lazycfg_call__()
        return _call, (resolve_deferred(target), args, kwargs)


def _call(target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return target(*args, **kwargs)


def _forward(name: str) -> Callable[..., Any]:
    """A special method that hands its work to the real object."""
    import operator

    function = getattr(operator, name.strip("_"), None) or getattr(operator, name, None)

    def method(self: Any, *args: Any) -> Any:
        value = resolve_deferred(self)
        others = [resolve_deferred(argument) for argument in args]
        if name.startswith("__r") and name not in ("__round__", "__reversed__"):
            return getattr(operator, f"__{name[3:]}")(others[0], value)
        plain = _PLAIN.get(name)
        if plain is not None:
            return plain(value, *others)
        assert function is not None
        return function(value, *others)

    method.__name__ = name
    return method


_PLAIN: dict[str, Callable[..., Any]] = {
    "__len__": len,
    "__iter__": iter,
    "__bool__": bool,
    "__int__": int,
    "__float__": float,
    "__complex__": complex,
    "__round__": round,
    "__reversed__": reversed,
    "__divmod__": divmod,
    "__format__": format,
    "__next__": next,
    "__enter__": lambda value: type(value).__enter__(value),
    "__exit__": lambda value, *args: type(value).__exit__(value, *args),
}
_BINARY = (
    "add",
    "sub",
    "mul",
    "matmul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "lshift",
    "rshift",
    "and",
    "or",
    "xor",
)
_OTHERS = (
    "lt",
    "le",
    "gt",
    "ge",
    "neg",
    "pos",
    "abs",
    "invert",
    "index",
    "contains",
    "getitem",
    "setitem",
    "delitem",
)
for _name in (*_PLAIN, *(f"__{n}__" for n in _BINARY + _OTHERS), *(f"__r{n}__" for n in _BINARY)):
    setattr(_StandIn, _name, _forward(_name))
