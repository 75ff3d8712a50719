"""Which name an object has, and which object a name stands for.

`find_name` gives the name that an object can be imported by: the one that it was defined under, checked to
lead back to it. `resolve_name` and `resolve_target` import what a name stands for. `target_name` is for
messages.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections import namedtuple
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType

from lazycfg.config.errors import TargetError, with_article
from lazycfg.config.suggest import closest
from lazycfg.config.tree.paths import MISSING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


CONFIG_MODULES = "lazycfg_configs."
"""Begins the names of the modules that config files are run as; nothing can be imported by them."""
_files: dict[str, str] = {}  # module name -> config file


def note_module_of_file(module_name: str, file: str) -> None:
    """Remember the file that a config module is made from, for the source of its functions and classes."""
    _files[module_name] = file


def config_file_of(module_name: str) -> str | None:
    """Return the file of a config module by its ``__name__``, the ``__module__`` of its classes."""
    return _files.get(module_name)


# Not of `typing`, whose import takes as long as that of the core.
class ImportName(namedtuple("ImportName", ["module", "qualname"])):
    """``module`` and the dotted ``qualname`` inside it; the qualname of a module itself is empty."""

    __slots__ = ()
    module: str
    qualname: str

    def __str__(self) -> str:
        return f"{self.module}.{self.qualname}" if self.qualname else self.module


def find_name(obj: Any) -> ImportName | None:
    """Return the canonical name of a module, class, function or method; None when importing it elsewhere
    would fail.

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
    """Return whether a module defined an object before `importlib.reload`, with the same code as now."""
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
    """Return the shortest package that re-exports the object under its own name: ``torch.nn.Conv2d``."""
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


class _NotFound(Exception):
    """A dotted name of which a part does not exist; the message says which, and what may be meant."""


def resolve_name(text: str) -> Any:
    """Import what a dotted name stands for. Raises `ImportError` when a part of it does not exist."""
    try:
        return _follow(text)
    except _NotFound as error:
        raise ImportError(f"{text!r} cannot be imported: {error}") from error.__cause__


def _follow(text: str) -> Any:
    """Import the longest module that a dotted name begins with, and go on by attributes."""
    parts = text.split(".")
    value: Any = None
    for size in range(len(parts), 0, -1):
        name = ".".join(parts[:size])
        try:
            value = importlib.import_module(name)
        except ModuleNotFoundError as error:
            missing = error.name or ""
            if not (name == missing or name.startswith(f"{missing}.")):
                raise _NotFound(f"importing {name!r} needs {missing!r}: {error}") from error
            continue
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            raise _NotFound(f"importing {name!r} fails with {what}") from error
        break
    else:
        from pkgutil import iter_modules

        pool = {*sys.builtin_module_names, *(m.name for m in iter_modules())}
        raise _NotFound(f"there is no module {parts[0]!r}{closest(parts[0], pool, 0.7)}")
    for at in range(size, len(parts)):
        try:
            value = getattr(value, parts[at])
        except AttributeError:
            names = [n for n in dir(value) if not n.startswith("_")]
            where = ".".join(parts[:at])
            raise _NotFound(f"{where!r} has no {parts[at]!r}{closest(parts[at], names)}") from None
    return value


def import_target(text: str) -> Any:
    """Import what a target in text stands for, callable or not. Raises `TargetError`."""
    parts = text.split(".")
    if not all(part.isidentifier() for part in parts) or len(parts) < 2:
        raise TargetError(f'target {text!r} is not of the form "package.module.name"')
    try:
        return _follow(text)
    except _NotFound as error:
        raise TargetError(f"target {text!r}: {error}") from error.__cause__


def is_deferred(target: Any) -> bool:
    """Return whether `target` stands for an import that has not happened; it is left alone until it is
    needed.

    The class of such a stand-in has a method `__lazycfg_resolve__`, which imports, and a method
    `__lazycfg_signature__`, which gives the signature that its source tells, or None.
    """
    return hasattr(type(target), "__lazycfg_resolve__")


def resolve_target(target: Any) -> Any:
    """Return the callable that a target in text stands for, imported; a callable is itself.

    Raises `TargetError`, which says what of the name exists and what was meant.
    """
    if type(target) is not str:
        if is_deferred(target):
            return type(target).__lazycfg_resolve__(target)
        return target
    module, _, name = target.rpartition(".")
    found = getattr(sys.modules.get(module), name, MISSING)
    if found is MISSING:
        found = import_target(target)
    if not callable(found):
        kind = with_article(type(found).__name__)
        raise TargetError(f"target {target!r} is {kind}, which cannot be called")
    return found


def is_imported(target: Any) -> bool:
    """Return whether a target is a callable, or a text of which the module is imported."""
    if type(target) is not str:
        return not is_deferred(target)
    return target.rpartition(".")[0] in sys.modules


def loaded_target(name: str) -> Any:
    """Return what a dotted name stands for in the modules that are imported; else the name."""
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        found = vars(sys.modules.get(".".join(parts[:length]), object)).get(parts[length])
        if found is not None:
            for part in parts[length + 1 :]:
                found = getattr(found, part, None) if isinstance(found, type) else None
            return name if found is None else found
    return name


def name_of_target(target: Any, *, importing: bool = True) -> str:
    """Return the name under which a target was defined; the empty text when it has none.

    A target in text is imported to find out, unless `importing` is false; one that cannot be imported, and a
    deferred import, has the name that was written.
    """
    if is_deferred(target):
        return str(target) if type(target).__lazycfg_name__(target) is not None else ""
    if not isinstance(target, str):
        return str(find_name(target) or "")
    if not importing:
        return target
    try:
        return str(find_name(resolve_target(target)) or target)
    except TargetError:
        return target


def target_name(target: Any, *, full: bool = False) -> str:
    """Return how a target is called in messages: its qualified name, with `full` also its module, or the name
    of the config file that defines it: "torch.nn.modules.conv.Conv2d", "my_config.py:Head".
    """
    if isinstance(target, str):
        return target if full else target.rpartition(".")[2]
    if isinstance(target, dict):  # a node
        return repr(target)
    named = getattr(type(target), "__lazycfg_name__", None) if full else None
    if named is not None and named(target) is not None:  # a stand-in, whose class has a module too
        return str(target)
    name = getattr(target, "__qualname__", None) or getattr(target, "__name__", None)
    if not isinstance(name, str):
        return repr(target)
    module = getattr(target, "__module__", None)
    if not full or not module or module == "builtins":
        return name
    file = config_file_of(module)
    return f"{module}.{name}" if file is None else f"{_short_file(file)}:{name}"


def _short_file(file: str) -> str:
    folder, name = os.path.split(file)
    return name if name != "__init__.py" else f"{os.path.basename(folder)}/{name}"


def full_name(target: Any) -> str:
    """Return the dotted name of a target without importing anything, which tells those of two config files
    from each other; its `repr` where it has none.
    """
    name = name_of_target(target, importing=False)
    module = getattr(target, "__module__", None)
    if not name and isinstance(module, str) and config_file_of(module) is not None:
        return f"{module}.{target_name(target)}"
    return name or target_name(target, full=True)
