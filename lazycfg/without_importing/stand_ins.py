"""Stand-ins for what is not imported: one class, `StandIn`, for all that reads configs without importing.

A stand-in is a name (``torch.nn.Conv2d``) or a call that a file makes (``ShapeSpec(channels=64)``). Its
`Reading` says how far it goes when the object itself is needed: `ON_USE` imports it then and there,
`IF_THERE` knows that it may be gone, `NEVER` only names it. `without_importing` reads files with them.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lazycfg.config.errors import TargetError
from lazycfg.config.signatures.modules import locate_module
from lazycfg.config.tree.paths import MISSING
from lazycfg.config.tree.targets import import_target, resolve_name

_DYNAMIC = re.compile(rb"def __getattr__|globals\(\)|__dict__")
_STAR = re.compile(rb"^[ \t]*from[ \t]+(\.*)([\w.]*)[ \t]+import[ \t]*\*", re.MULTILINE)
_read, _write = object.__getattribute__, object.__setattr__


@dataclass(frozen=True, slots=True)
class Reading:
    """How far stand-ins go.

    Attributes:
        imports: whether the object is made when it is needed; if not, needing it is a `TargetError`.
        may_fail: whether it is known that there may be no such object. Nothing is guessed from source then:
            what counts is what can be imported.
    """

    imports: bool = True
    may_fail: bool = False


ON_USE, IF_THERE, NEVER = Reading(), Reading(may_fail=True), Reading(imports=False)


class StandIn:
    """Stands for a name, or for the result of a call, until the object itself is needed.

    Every use that needs the object (arithmetic, iteration, a subclass of it, an attribute of a result) makes
    it. The methods in double underscores are what the rest of the core asks; their names are none that an
    object could have itself.

    Args:
        name: the module, and the name in it ("" for the module itself); None for a call.
        call: target, positional and keyword arguments of a call; None for a name.
        reading: how far the stand-in goes.
    """

    __slots__ = ("_lz_call", "_lz_name", "_lz_reading", "_lz_value")

    def __init__(
        self,
        name: tuple[str, str] | None,
        call: tuple[Any, tuple[Any, ...], dict[str, Any]] | None = None,
        reading: Reading = ON_USE,
    ):
        _write(self, "_lz_name", name)
        _write(self, "_lz_call", call)
        _write(self, "_lz_reading", reading)
        _write(self, "_lz_value", MISSING)

    # ---------------------------------------------------------------- what the core asks

    def __lazycfg_name__(self) -> tuple[str, str] | None:
        """Return module and name in it, as they were written; None for a call."""
        found: tuple[str, str] | None = _read(self, "_lz_name")
        return found

    def __lazycfg_call__(self) -> tuple[Any, tuple[Any, ...], dict[str, Any]] | None:
        """Return target, arguments and keywords of a call; None for a name."""
        found: tuple[Any, tuple[Any, ...], dict[str, Any]] | None = _read(self, "_lz_call")
        return found

    def __lazycfg_reading__(self) -> Reading:
        """Return how far the stand-in goes."""
        found: Reading = _read(self, "_lz_reading")
        return found

    def __lazycfg_resolve__(self) -> Any:
        """Return the object, made at most once.

        Raises:
            TargetError: it may not be made, or there is no such object.
        """
        value = _read(self, "_lz_value")
        if value is MISSING:
            value = self._lz_make()
            _write(self, "_lz_value", value)
        return value

    def __lazycfg_signature__(self) -> Any:
        """Return what the source of a name says that it takes; None when that is not sure, or when it is
        imported already.
        """
        name = self.__lazycfg_name__()
        if name is None or not name[1] or self._lz_is_made() or self.__lazycfg_reading__().may_fail:
            return None
        from lazycfg.without_importing.source import source_signature

        return source_signature(str(self), self)

    def __lazycfg_kind__(self) -> str | None:
        """Return "module", "class" or "function"; None when only the object tells."""
        name, call = self.__lazycfg_name__(), self.__lazycfg_call__()
        if name is None:
            target = call[0] if call is not None else None
            unsure = isinstance(target, StandIn) and target.__lazycfg_reading__().may_fail
            return "class" if unsure else None
        if not name[1]:
            return "module"
        if self.__lazycfg_reading__().may_fail:  # nothing that is not a class is lost by it
            return "class"
        if self._lz_is_made():
            return None
        from lazycfg.without_importing.source import Unsure, find_definition

        try:
            statement = type(find_definition(str(self)).node).__name__
        except (Unsure, OSError, SyntaxError, ValueError, RecursionError):
            return None
        return "class" if statement == "ClassDef" else "function"

    def __lazycfg_settled__(self) -> Any:
        """Return what a top-level name of a config is: a function of which the source is known stays a name;
        anything else may be data, and is made.
        """
        named = self.__lazycfg_name__() is not None and self.__lazycfg_kind__() is not None
        return self if named else self.__lazycfg_resolve__()

    def _lz_is_made(self) -> bool:
        return _read(self, "_lz_value") is not MISSING

    def _lz_make(self) -> Any:
        name, call, reading = self.__lazycfg_name__(), self.__lazycfg_call__(), self.__lazycfg_reading__()
        if not reading.imports:
            what = "named" if call is None else "described"
            raise TargetError(f"{self!r} is only {what} by a data file; reading it imports and calls nothing")
        if call is not None:
            target, args, kwargs = call
            made = {key: resolve_stand_in(value) for key, value in kwargs.items()}
            return resolve_stand_in(target)(*map(resolve_stand_in, args), **made)
        if reading.may_fail and name is not None and name[1]:
            return import_target(str(self))
        try:
            return resolve_name(str(self))
        except ImportError as error:
            if not reading.may_fail:
                raise
            raise TargetError(f"module {str(self)!r} cannot be imported: {error}") from error

    # ---------------------------------------------------------------- what a config file does with it

    def __getattr__(self, name: str) -> Any:
        known, reading = self.__lazycfg_name__(), self.__lazycfg_reading__()
        if known is None:
            if not reading.imports or (name.startswith("__") and name.endswith("__")):
                raise AttributeError(name)
            return getattr(resolve_stand_in(self), name)
        module, qualname = known
        if name in ("__name__", "__qualname__"):
            return qualname or module
        if name == "__module__":
            return module
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        if not qualname and reading == ON_USE:
            if locate_module(f"{module}.{name}") is not None:
                return StandIn((f"{module}.{name}", ""))
            own = locate_module(module)
            if own is not None and not may_have(own, name):
                return getattr(resolve_stand_in(self), name)
        return StandIn((module, f"{qualname}.{name}" if qualname else name), None, reading)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(resolve_stand_in(self), name, value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return StandIn(None, (self, args, kwargs), self.__lazycfg_reading__())

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        try:
            return (resolve_stand_in(self),)
        except TargetError:
            if self.__lazycfg_reading__().may_fail:
                return ()  # reported as an import that fails
            raise

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(resolve_stand_in(instance), resolve_stand_in(self))

    def __subclasscheck__(self, cls: type) -> bool:
        return issubclass(cls, resolve_stand_in(self))

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self

    def __bool__(self) -> bool:
        return not self.__lazycfg_reading__().imports or bool(resolve_stand_in(self))

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        imports = self.__lazycfg_reading__().imports
        if isinstance(other, StandIn):
            name, call = self.__lazycfg_name__(), self.__lazycfg_call__()
            if name is not None and other.__lazycfg_name__() is not None and repr(self) == repr(other):
                return True
            if not (imports and other.__lazycfg_reading__().imports):
                return call is not None and call == other.__lazycfg_call__()
        elif not imports:
            return False
        return bool(resolve_stand_in(self) == resolve_stand_in(other))

    def __hash__(self) -> int:
        if not self.__lazycfg_reading__().imports:
            return hash(repr(self))
        if self.__lazycfg_name__() is not None and not self._lz_is_made():
            return hash(str(self))
        return hash(resolve_stand_in(self))

    def __repr__(self) -> str:
        call = self.__lazycfg_call__()
        if call is None:
            return ".".join(part for part in self.__lazycfg_name__() or () if part)
        target, args, kwargs = call
        shown = [*map(repr, args), *(f"{key}={value!r}" for key, value in kwargs.items())]
        name = getattr(target, "__name__", None) or repr(target)
        return f"{str(name).rpartition('.')[2]}({', '.join(shown)})"

    def __str__(self) -> str:  # what a config file makes of a call is a value; messages take the repr
        made = self.__lazycfg_call__() is not None and self.__lazycfg_reading__().imports
        return str(resolve_stand_in(self)) if made else repr(self)

    def __reduce__(self) -> Any:
        call = self.__lazycfg_call__()
        if call is None:
            return resolve_name, (str(self),)
        target, args, kwargs = call
        return _call, (resolve_stand_in(target), args, kwargs)


def _call(target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return target(*args, **kwargs)


def resolve_stand_in(value: Any) -> Any:
    """Return what a stand-in stands for; any other value is itself."""
    return StandIn.__lazycfg_resolve__(value) if isinstance(value, StandIn) else value


def _forward(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a special method that applies ``function`` to the real objects."""

    def method(self: Any, *args: Any) -> Any:
        return function(resolve_stand_in(self), *map(resolve_stand_in, args))

    method.__name__ = name
    return method


def _reflected(name: str) -> Callable[..., Any]:
    function = getattr(operator, f"__{name}__")
    return lambda value, other: function(other, value)


_BINARY_TEXT = "add sub mul matmul truediv floordiv mod pow lshift rshift and or xor"
_BINARY = _BINARY_TEXT.split()
_OTHERS_TEXT = "lt le gt ge neg pos abs invert index contains getitem setitem delitem"
_OTHERS = _OTHERS_TEXT.split()
_FORWARDED: dict[str, Callable[..., Any]] = {
    "__len__": len,
    "__iter__": iter,
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
    **{f"__{name}__": getattr(operator, f"__{name}__") for name in _BINARY + _OTHERS},
    **{f"__r{name}__": _reflected(name) for name in _BINARY},
}
for _name, _function in _FORWARDED.items():
    setattr(StandIn, _name, _forward(_name, _function))


def may_have(file: str, attribute: str) -> bool:
    """Return whether a module may have an attribute, as far as its source tells without running it."""
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
    """Return whether ``from ..name import *`` in a file may bring an attribute."""
    if not dots:
        file = locate_module(name)
        return file is None or file == str(path) or may_have(file, attribute)
    target = path.parents[dots - 1].joinpath(*name.split(".")) if name else path.parents[dots - 1]
    for found in (target / "__init__.py", target.with_suffix(".py")):
        if found.is_file() and found != path:
            return may_have(str(found), attribute)
    return True
