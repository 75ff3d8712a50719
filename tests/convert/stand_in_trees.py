"""Lazy config files as they are written for detectron2, and names of packages that are not installed.

`write_tree` writes the files of `stand_ins/*.txt`; `aliases` answers imports of detectron2, detrex and
others, with ours where there is one of that name, with a dummy elsewhere.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

from lazycfg import LazyConfig

TEXTS = Path(__file__).parent / "stand_ins"
ALIASED = ("detectron2", "detrex", "fvcore", "xformers", "projects")


def files_of(name: str) -> dict[str, str]:
    """Return path -> text of the files in one of the texts."""
    parts = ("\n" + (TEXTS / f"{name}.txt").read_text()).split("\n#### ")
    files = (part.partition("\n") for part in parts if part.strip())
    return {path.strip(): text for path, _, text in files}


def write_tree(folder: Path, name: str) -> list[Path]:
    """Write the files of one of the texts below a folder; return them."""
    written = []
    for path, text in files_of(name).items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        written.append(file)
    return written


class _Answers(type):
    """Classes that have every attribute, as a method of theirs."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: (name, args, kwargs)


class Dummy(metaclass=_Answers):
    """A class that stands for any other."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.made_of = (args, kwargs)


def _dummy_class(module: str, name: str) -> Any:
    return _Answers(name, (Dummy,), {"__module__": module})


def _mock(module: str, name: str) -> Any:
    return MagicMock(name=f"{module}.{name}")


KINDS = {"classes": _dummy_class, "mocks": _mock}


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, make: Any, zoos: dict[str, Path], packages: tuple[str, ...]) -> None:
        self.make, self.zoos, self.packages = make, zoos, packages

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.partition(".")[0] not in self.packages:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: Any) -> ModuleType:
        return _Aliased(spec.name, self.make, self.zoos.get(spec.name))

    def exec_module(self, module: ModuleType) -> None:
        pass


class _Aliased(ModuleType):
    def __init__(self, name: str, make: Any, zoo: Path | None) -> None:
        super().__init__(name)
        self._make = make
        self.__all__ = ["MultiStepParamScheduler", "CosineParamScheduler"]
        if zoo is not None:
            self.get_config = lambda path: LazyConfig.load(zoo / path)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or (name.islower() and name in ("model_zoo", "config")):
            raise AttributeError(name)
        ours = _ours(self.__name__, name)
        if ours is None and name.islower() and _is_imported_as_module(f"{self.__name__}.{name}"):
            raise AttributeError(name)
        found = self._make(self.__name__, name) if ours is None else ours
        setattr(self, name, found)
        return found


def _is_imported_as_module(name: str) -> bool:
    return name in sys.modules


def _ours(module: str, name: str) -> Any:
    if module.partition(".")[0] != "detectron2":
        return None
    words = module.split(".")[1:]
    while words or module == "detectron2":
        try:
            return getattr(importlib.import_module(".".join(["lazycfg", *words])), name)
        except (ImportError, AttributeError):
            words = words[:-1]
            if not words:
                return None
    return None


@contextlib.contextmanager
def aliases(kind: str, zoos: dict[str, Path], packages: tuple[str, ...] = ALIASED) -> Iterator[None]:
    """Answer imports of packages while the block runs.

    Args:
        kind: what the names are that we do not have, a key of `KINDS`.
        zoos: module -> the folder that its `get_config` reads.
        packages: their names.
    """
    finder = _Finder(KINDS[kind], zoos, packages)
    saved = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] in packages}
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.split(".")[0] in packages]:
            del sys.modules[name]
        sys.modules.update(saved)
