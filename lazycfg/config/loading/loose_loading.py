"""Loading a saved config when what it names may be gone: nothing is imported while it runs."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from lazycfg.config.building.check import Problem
from lazycfg.config.errors import TargetError
from lazycfg.config.formats.data_files import Tagged
from lazycfg.config.inspection.moved import where_now
from lazycfg.config.isolation.session import python_import
from lazycfg.config.loading.deferred import Deferred
from lazycfg.config.loading.names_only import Unmade
from lazycfg.config.signatures.callables import _import
from lazycfg.config.tree.position import FilePosition, Origin
from lazycfg.config.trust import TRUST_ALL, Policy

__all__ = ["DriftDecoder", "Imports", "Loose", "moved_to"]


class Loose(Deferred):
    """A stand-in that may stand for nothing at all."""

    __slots__ = ()
    _lz_may_fail = True

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            return super().__getattr__(name)
        module, qualname = self.__lazycfg_name__()
        return Loose(module, f"{qualname}.{name}" if qualname else name)

    def __lazycfg_signature__(self) -> Any:
        return None  # what counts is what can be imported

    def _lz_make(self) -> Any:
        module, qualname = self.__lazycfg_name__()
        if qualname:
            return _import(f"{module}.{qualname}")
        try:
            return python_import(module, None, ("__name__",))
        except ImportError as error:
            raise TargetError(f"module {module!r} cannot be imported: {error}") from error

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        try:
            return super().__mro_entries__(bases)
        except TargetError:
            return ()  # told as an import that fails


class Imports:
    """The import function of a saved file: never fails, and remembers what was imported where."""

    def __init__(self) -> None:
        self.seen: list[tuple[Loose, Origin]] = []

    def __call__(self, name: str, module_globals: Mapping[str, object] | None, names: Sequence[str]) -> Any:
        real = name.partition(".")[0] in sys.stdlib_module_names or name == "lazycfg"
        if real or "*" in names:
            try:
                module = python_import(name, module_globals, names)
                if all(hasattr(module, part) for part in names if part != "*"):
                    return module
            except ImportError:
                pass
        place = _place(module_globals)
        top = Loose(name if names else name.partition(".")[0], "")
        self.seen += [(getattr(top, part), place) for part in names if part != "*"]
        if not names or "*" in names:
            self.seen.append((Loose(name, ""), place))
        return ModuleType(name) if "*" in names else top

    def failed(self) -> list[Problem]:
        """The imports that lead nowhere."""
        found: dict[str, Problem] = {}
        for stand_in, place in self.seen:
            try:
                stand_in.__lazycfg_resolve__()
            except TargetError as error:
                said = str(error)
                message = said.replace("target", "import of", 1) + moved_to(str(stand_in), said, TRUST_ALL)
                found.setdefault(str(stand_in), Problem("import", (), message, place))
            except Exception as error:  # what a module raises while it is imported
                text = f"import of {str(stand_in)!r} fails with {type(error).__name__}: {error}"
                found.setdefault(str(stand_in), Problem("import", (), text, place))
        return list(found.values())


def _place(module_globals: Mapping[str, object] | None) -> FilePosition:
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_globals is not module_globals:
        frame = frame.f_back
    line = frame.f_lineno if frame.f_globals is module_globals else None
    return FilePosition(str((module_globals or {}).get("__file__")), line)


class DriftDecoder(Unmade):
    """Reads a data file under its policy; a name that leads nowhere becomes a stand-in."""

    def _resolve(self, text: str) -> Any:
        try:
            return super()._resolve(text)
        except ImportError:
            module, _, name = text.rpartition(".")
            return Loose(module, name)

    def _make_member(self, tagged: Tagged, payload: Any) -> Any:
        cls, name = payload
        found = getattr(cls, "__members__", {}).get(name)
        return Loose(cls.__module__, f"{cls.__qualname__}.{name}") if found is None else found


def moved_to(written: str, message: str, policy: Policy) -> str:
    """The end of a message about a name that leads nowhere, unless it makes a suggestion already."""
    hint = where_now(written, policy)
    return "" if hint.startswith("; did you mean") and "did you mean" in message else hint
