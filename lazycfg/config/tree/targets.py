"""The name that an object can be imported by: the one it was defined under, checked to lead back to it."""

from __future__ import annotations

import importlib
import sys
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

__all__ = ["ImportName", "find_name", "public_name", "resolve_name"]


class ImportName(NamedTuple):
    """``module`` and the dotted ``qualname`` inside it; the qualname of a module itself is empty."""

    module: str
    qualname: str

    def __str__(self) -> str:
        return f"{self.module}.{self.qualname}" if self.qualname else self.module


def find_name(obj: Any) -> ImportName | None:
    """The canonical name of a module, class, function or method; None when importing it elsewhere would fail.

    Objects of ``__main__`` (scripts, notebooks) and of config files have no such name.
    """
    if isinstance(obj, ModuleType):
        name = obj.__name__
        return ImportName(name, "") if sys.modules.get(name) is obj and name != "__main__" else None
    qualname = getattr(obj, "__qualname__", None)
    if not isinstance(qualname, str) or "<" in qualname:
        return _search(obj)
    for module in _modules_of(obj):
        if module not in ("__main__", "") and _leads_to(module, qualname, obj):
            return ImportName(module, qualname)
    return _search(obj)


def _modules_of(obj: Any) -> list[str]:
    """Modules that may define ``obj``: its own, that of the class it is bound to or belongs to."""
    owner = getattr(obj, "__self__", None) if isinstance(obj, MethodType | BuiltinFunctionType) else None
    owner = owner if isinstance(owner, type) else getattr(obj, "__objclass__", None)
    names = [getattr(obj, "__module__", None), getattr(owner, "__module__", None)]
    return [name for name in names if isinstance(name, str)]


def _leads_to(module_name: str, qualname: str, obj: Any) -> bool:
    found: Any = sys.modules.get(module_name)
    if found is None:
        return False
    for part in qualname.split("."):
        # vars() of a module first: a module's __getattr__ may import
        found = getattr(found, part, None)
        if found is None:
            return False
    if found is obj or (isinstance(obj, MethodType | BuiltinFunctionType) and bool(found == obj)):
        return True
    return _is_reloaded(found, obj)


def _is_reloaded(found: Any, obj: Any) -> bool:
    """Whether an object is what a module defined before `importlib.reload`, with the same code as now."""
    if type(found) is not type(obj) or getattr(found, "__module__", "") in (None, "", "__main__"):
        return False
    if isinstance(obj, FunctionType):
        return found.__module__ == obj.__module__ and found.__code__ == obj.__code__ and not obj.__closure__
    if (
        not isinstance(obj, type)
        or found.__module__ != obj.__module__
        or vars(found).keys() != vars(obj).keys()
    ):
        return False
    codes = [[getattr(v, "__code__", None) for v in vars(cls).values()] for cls in (found, obj)]
    return codes[0] == codes[1] and any(codes[0])


def _search(obj: Any) -> ImportName | None:
    """Builtins such as ``torch.relu`` know no module: look for them in the packages that are imported."""
    if isinstance(obj, FunctionType | type):
        return None
    name = getattr(obj, "__name__", None)
    if not isinstance(name, str) or not callable(obj) or not name.isidentifier():
        return None
    for module_name in sorted(sys.modules, key=lambda key: (key.count("."), key)):
        module = sys.modules[module_name]
        if isinstance(module, ModuleType) and vars(module).get(name) is obj and module_name != "__main__":
            return ImportName(module_name, name)
    return None


def public_name(name: ImportName, obj: Any) -> ImportName:
    """The shortest package that re-exports the object under its own name: ``torch.nn.Conv2d``."""
    if not name.qualname:
        return name
    first, _, rest = name.qualname.partition(".")
    if rest:  # of `Class.method` what is imported is the class
        owner = getattr(sys.modules.get(name.module), first, None)
        return (
            name
            if owner is None
            else public_name(ImportName(name.module, first), owner)._replace(qualname=name.qualname)
        )
    plain = name.module.removeprefix("_")  # `functools` for `_functools`
    if plain != name.module and _leads_to(plain, name.qualname, obj):
        return ImportName(plain, name.qualname)
    parts = name.module.split(".")
    for end in range(1, len(parts)):
        package = ".".join(parts[:end])
        module = sys.modules.get(package)
        if module is not None and vars(module).get(name.qualname) is obj:
            return ImportName(package, name.qualname)
    return name


def resolve_name(text: str) -> Any:
    """Import what a dotted name stands for.

    Raises:
        ImportError: a part of it does not exist.
    """
    parts = text.split(".")
    for end in range(len(parts), 0, -1):
        name = ".".join(parts[:end])
        try:
            found: Any = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
                continue
            raise
        for part in parts[end:]:
            try:
                found = getattr(found, part)
            except AttributeError:
                raise ImportError(f"{text!r} cannot be imported: {name!r} has no {part!r}") from None
        return found
    raise ImportError(f"{text!r} cannot be imported: there is no module {parts[0]!r}")
