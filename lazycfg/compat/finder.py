"""Modules that are not there: an import finder answers the names of another library from a table."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.metadata
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from lazycfg.utils import closest

__all__ = ["AliasFinder", "Gone", "Names", "is_installed"]


@dataclass(frozen=True)
class Gone:
    """A name that is not answered, and what to use in its place."""

    remedy: str


_ANY = importlib.metadata.DistributionFinder.Context()

Names = Mapping[str, "str | Gone"]
"""The names of a module: ``"package.module:name"``, where the answer is, or `Gone`."""


def is_installed(package: str) -> bool:
    """Return whether a package can be imported without any alias."""
    for finder in sys.meta_path:
        if isinstance(finder, AliasFinder):
            continue
        find_spec = getattr(finder, "find_spec", None)
        if find_spec is not None and find_spec(package, None) is not None:
            return True
    return False


class AliasModule(ModuleType):
    """A module whose names are looked up when they are first used."""

    def __init__(self, name: str, names: Names, parts: Sequence[str], title: str) -> None:
        super().__init__(name, f"{name}, answered by lazycfg (see lazycfg.compat).")
        self.__dict__["_names"] = names
        self._parts = frozenset(parts)
        self._title = title
        self.__all__ = sorted(
            name for name, answer in names.items() if isinstance(answer, str) and not name.startswith("_")
        )

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute, but for a submodule that a name of the package hides: `config.instantiate`."""
        hidden = isinstance(value, AliasModule) and isinstance(vars(self).get("_names", {}).get(name), str)
        if not hidden:
            super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        answer = self._names.get(name)
        if name in self._parts and not isinstance(answer, str):  # detectron2.utils after `import detectron2`
            return importlib.import_module(f"{self.__name__}.{name}")
        if isinstance(answer, str):
            module, _, attribute = answer.partition(":")
            value: Any = importlib.import_module(module)
            if attribute:
                value = getattr(value, attribute)
            self.__dict__[name] = value
            return value
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        raise AttributeError(self.refusal(name))

    def refusal(self, name: str) -> str:
        """Return why there is no such name, and what to use."""
        answer = self._names.get(name)
        if isinstance(answer, Gone):
            return f"{self.__name__}.{name} is not part of {self._title}: {answer.remedy}"
        known = [*self.__all__, *self._parts]
        return f"{self.__name__}.{name} is not known to {self._title}{closest(name, known)}"

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.__all__, *self._parts})


class _Loader(importlib.abc.Loader):
    def __init__(self, finder: AliasFinder) -> None:
        self._finder = finder

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return self._finder.module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: names are looked up when they are first used."""


class AliasFinder(importlib.metadata.DistributionFinder):
    """Answers the modules of a package, and its entry among the installed distributions.

    Args:
        package: the top module.
        modules: the names of each module, by its full name. Packages above a module need no entry.
        gone: modules that are not answered, and what to use in their place.
        title: what answers, for messages.
        version: that ``importlib.metadata`` tells; "" for none.
    """

    def __init__(
        self,
        package: str,
        modules: Mapping[str, Names],
        *,
        gone: Mapping[str, Gone],
        title: str,
        version: str = "",
    ) -> None:
        self.package = package
        self.modules = dict(modules)
        self.gone = dict(gone)
        self.title = title
        self.version = version
        self._children: dict[str, set[str]] = {package: set()}
        for path in self.modules:
            while "." in path:
                above, _, last = path.rpartition(".")
                self._children.setdefault(above, set()).add(last)
                path = above

    def knows(self, name: str) -> bool:
        """Return whether there is such a module."""
        return name in self.modules or name in self._children

    def module(self, name: str) -> AliasModule:
        """Make a module."""
        return AliasModule(name, self.modules.get(name, {}), sorted(self._children.get(name, ())), self.title)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find a module of the package.

        Every module is a package, so that ``from module import name`` asks here for names that are not
        there, and passes on an error that is about another name: else Python's own, without a remedy, would
        be seen.

        Raises:
            ModuleNotFoundError: there is none of this name in the package; the message says what to use.
        """
        if fullname != self.package and not fullname.startswith(f"{self.package}."):
            return None
        if self.knows(fullname):
            return importlib.machinery.ModuleSpec(fullname, _Loader(self), is_package=True)
        above, _, last = fullname.rpartition(".")
        for gone, answer in self.gone.items():
            if fullname == gone or fullname.startswith(f"{gone}."):
                text = f"{fullname} is not part of {self.title}: {answer.remedy}"
                raise ModuleNotFoundError(text, name=above)
        if not last or isinstance(self.modules.get(above, {}).get(last), str):
            return None  # __import__("a", fromlist=[""]), and `import a.b` where b is a name of a
        raise ModuleNotFoundError(self.module(above).refusal(last), name=above)

    def find_distributions(
        self,
        context: importlib.metadata.DistributionFinder.Context = _ANY,
    ) -> Iterable[importlib.metadata.Distribution]:
        """Return the distribution of the package, if it is looked for."""
        wanted = context.name
        if self.version and (wanted is None or wanted.lower().replace("_", "-") == self.package):
            return [_Distribution(self.package, self.version, self.title)]
        return []


class _Distribution(importlib.metadata.Distribution):
    def __init__(self, name: str, version: str, title: str) -> None:
        self._text = (
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: answered by {title}\n"
        )

    def read_text(self, filename: str) -> str | None:
        return self._text if filename == "METADATA" else None

    def locate_file(self, path: Any) -> Any:
        raise FileNotFoundError(f"{path}: an alias has no files")
