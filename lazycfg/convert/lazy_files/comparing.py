"""Whether a rewritten file says what the file said: both are loaded, with our names for detectron2's."""

from __future__ import annotations

import importlib
import re
import sys
import traceback
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from lazycfg.config import Node, check
from lazycfg.config.isolation.session import python_import
from lazycfg.config.loading.load import load
from lazycfg.config.signatures.modules import locate_module
from lazycfg.convert.lazy_files.names import THEIRS, find_ours
from lazycfg.convert.result import ConvertError
from lazycfg.inspection.diff import diff

__all__ = ["Importing", "compare", "load_texts"]


class Importing:
    """The imports of a file that is loaded to look at it.

    A name of detectron2 is ours, one that we do not have and a module that is not installed a dummy.

    Attributes:
        absent: the packages that are not installed.
    """

    def __init__(self) -> None:
        self.absent: set[str] = set()
        self._dummies: dict[str, Any] = {}

    def __call__(self, name: str, module_globals: Mapping[str, object] | None, names: Sequence[str]) -> Any:
        """Import a module, as `__import__` does."""
        root = name.partition(".")[0]
        if root not in THEIRS:
            if root in sys.stdlib_module_names or root == "lazycfg" or locate_module(name) is not None:
                return python_import(name, module_globals, names)
            self.absent.add(root)
        if names:
            return self.module(name)
        top = module = self.module(root)
        for end in range(2, name.count(".") + 2):
            child = self.module(".".join(name.split(".")[:end]))
            setattr(module, name.split(".")[end - 1], child)
            module = child
        return top

    def module(self, name: str) -> ModuleType:
        """Return a module of detectron2, or one that is not installed."""
        return _View(name, self)

    def dummy(self, origin: str) -> Any:
        """Return what stands for a name, always the same."""
        if origin not in self._dummies:
            name = origin.rpartition(".")[2]
            self._dummies[origin] = _Answers(name, (), {"__module__": origin.rpartition(".")[0]})
        return self._dummies[origin]


class _Answers(type):
    """Classes that are called with anything and have every attribute."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = _Answers(f"{cls.__name__}.{name}", (), {"__module__": cls.__module__})
        setattr(cls, name, made)
        return made

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return object.__new__(cls)  # type: ignore[arg-type]


class _View(ModuleType):
    def __init__(self, name: str, importing: Importing) -> None:
        super().__init__(name)
        self._importing = importing
        package = {"fvcore.common.param_scheduler": "lazycfg.solver"}.get(name)
        self.__all__ = list(getattr(importlib.import_module(package), "__all__", ())) if package else []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        origin = f"{self.__name__}.{name}"
        found = find_ours(origin) if origin.partition(".")[0] in THEIRS else None
        if found is None:
            return self._importing.dummy(origin)
        module = importlib.import_module(found[0])
        if not hasattr(module, found[1]):
            return importlib.import_module(".".join(found))
        return getattr(module, found[1])


def load_texts(texts: Mapping[Path, str], name: str, folder: str, importing: Importing) -> Any:
    """Return the config of the new files.

    Args:
        texts: path in a folder -> text.
        name: of the file to load.
        folder: an empty one to write the files into.
        importing: see there.

    Raises:
        ConvertError: it does not load; the message has the line.
    """
    for place, text in texts.items():
        file = Path(folder, place)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    try:
        return load(Path(folder, name), import_absolute=importing)
    except Exception as error:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(folder)]
        where = f"{frames[-1].filename.removeprefix(f'{folder}/')}: {frames[-1].line}\n" if frames else ""
        raise ConvertError(
            f"the new file does not load: {where}{type(error).__name__}: {str(error).replace(folder, '')}"
        ) from error


def compare(first: Path, new: Any, importing: Importing, changed: Iterable[str]) -> list[str]:
    """Return what is wrong with a new config, and where it says something else than the old one.

    Args:
        first: the old file.
        new: the new config.
        importing: with which it was loaded.
        changed: keys below which they differ, as they should.
    """
    remarks = [f"{_path(problem)}: {problem.message}" for problem in _problems(new)]
    remarks += [
        f"{' and '.join(paths)} are one object here, as they are one call in the file; detectron2 "
        "builds each of its own: put .copy() behind the others"
        for paths in _shared_calls(new)
    ]
    try:
        old = load(first, import_absolute=importing)
    except Exception as error:
        return [
            *remarks,
            f"the old file does not load, so that the new one was not compared with it: {error}",
        ]
    expected = set(changed)
    for change in diff(old, new):
        keys = set(re.findall(r"\w+", change.path))
        if not keys & expected and not _is_the_same(change):
            remarks.append(f"the new file says something else than the old one: {change}")
    return remarks


def _problems(cfg: Any) -> list[Any]:
    """Return what `check` says, but for what a part of a config lacks: the model of an optimizer."""
    if not isinstance(cfg, Node):
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of shared calls, which are told here
        found = [problem for problem in check(cfg, raises=False) if problem.severity == "error"]
    whole = "model" in cfg
    return [p for p in found if whole or p.kind != "interpolation" or "${model}" not in p.message]


def _shared_calls(cfg: Any) -> list[list[str]]:
    """Return the paths of each call that stands in several places below one top-level key."""
    found: list[list[str]] = []
    for key, part in dict.items(cfg) if isinstance(cfg, Node) else ():
        places: dict[int, list[str]] = {}
        work = [(str(key), part)]
        while work:
            path, value = work.pop()
            inner: list[tuple[Any, Any]] = list(dict.items(value)) if isinstance(value, dict) else []
            if isinstance(value, list | tuple):
                inner = list(enumerate(value))
            if isinstance(value, Node) and "_target_" in value:
                places.setdefault(id(value), []).append(path)
                if len(places[id(value)]) > 1:
                    continue  # what is in it is shared with it
            work += [(f"{path}.{name}", child) for name, child in reversed(inner)]
        found += [paths for paths in places.values() if len(paths) > 1]
    return found


def _path(problem: Any) -> str:
    return ".".join(map(str, problem.path))


def _is_the_same(change: Any) -> bool:
    """Return whether a difference is none: of modules' names, or of the identity of objects."""
    if change.kind in ("added", "removed") and "." not in change.path:
        return True
    old, new = change.old, change.new
    if change.kind != "changed" or type(old) is not type(new):
        return False
    if isinstance(old, type):  # classes of the file itself
        return bool(old.__qualname__ == new.__qualname__ and old.__module__.startswith("lazycfg_configs."))
    return repr(old) == repr(new) or isinstance(type(old), _Answers)
