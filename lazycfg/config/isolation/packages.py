"""Which absolutely imported modules are config files: those below a *package of configs*.

A package says so in its ``__init__.py`` with the line ``__lazycfg_configs__ = True``; `lazycfg.model_zoo`
is one. When a config file writes ``from lazycfg.model_zoo.common.models.mask_rcnn_fpn import model``, that
module is run by the loader, as a relative import would be: fresh objects at every load, once per load. In
ordinary code the same line is an ordinary Python import.

Nothing is imported to find this out: packages are located through the finders of ``sys.meta_path``.
"""

import os
import re
import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path

__all__ = ["MARK", "find_config_package", "locate_module"]

MARK = "__lazycfg_configs__"
_MARK_LINE = re.compile(rb"^__lazycfg_configs__\s*(?::\s*bool\s*)?=\s*True\b", re.MULTILINE)
_ALWAYS = frozenset({"lazycfg.model_zoo"})
_Located = tuple[tuple[str, ...], bool]  # (folders of the package, is it a package of configs)


def find_config_package(name: str) -> tuple[str, str] | None:
    """Return the package of configs that module ``name`` is in or is itself, as ``(package, folder)``; else
    None.
    """
    if name.partition(".")[0] in sys.stdlib_module_names:
        return None
    parts = name.split(".")
    folders: Sequence[str] | None = None
    for end in range(1, len(parts) + 1):
        package = ".".join(parts[:end])
        located = _locate(package, folders)
        if located is None:
            return None
        folders, marked = located
        if marked and folders:
            return package, folders[0]
    return None


def _locate(package: str, parent_folders: Sequence[str] | None) -> _Located | None:
    """Return folders of a package and whether it is marked; None for anything that is not a package."""
    module = sys.modules.get(package)
    if module is not None:
        path: Iterable[str] = getattr(module, "__path__", ())
        folders = tuple(path)
        return (folders, package in _ALWAYS or bool(getattr(module, MARK, False))) if folders else None
    spec = _find_spec(package, parent_folders)
    if spec is None or not spec.submodule_search_locations:
        return None
    folders = tuple(spec.submodule_search_locations)
    return folders, package in _ALWAYS or _is_marked(folders)


def locate_module(name: str) -> str | None:
    """Return the file of a module, found without importing anything; a package's is its ``__init__.py``.

    A built-in or extension module, a folder without ``__init__.py``: the empty text, or the path of its
    binary. None when there is no such module.
    """
    parts = name.split(".")
    folders: Sequence[str] | None = None
    for end in range(1, len(parts) + 1):
        package = ".".join(parts[:end])
        if end > 1 and folders is None:
            return None
        module = sys.modules.get(package)
        if module is not None:
            folders = tuple(getattr(module, "__path__", ())) or None
            file = getattr(module, "__file__", None) or ""
            continue
        spec = _find_spec(package, folders)
        if spec is None:
            return None
        folders = (
            tuple(spec.submodule_search_locations) if spec.submodule_search_locations is not None else None
        )
        file = spec.origin if spec.has_location and spec.origin else ""
    return file


def _find_spec(package: str, folders: Sequence[str] | None) -> ModuleSpec | None:
    for finder in sys.meta_path:
        find_spec = getattr(finder, "find_spec", None)
        try:
            spec: ModuleSpec | None = find_spec(package, folders, None) if find_spec is not None else None
        except KeyError:  # a folder without __init__.py, in a package that is not imported yet
            name = package.rpartition(".")[2]
            spec = ModuleSpec(package, None, is_package=True)
            spec.submodule_search_locations = [os.path.join(folder, name) for folder in folders or ()]
        if spec is not None:
            return spec
    return None


def _is_marked(folders: Iterable[str]) -> bool:
    for folder in folders:
        init = Path(folder, "__init__.py")
        if init.is_file() and _MARK_LINE.search(init.read_bytes()):
            return True
    return False
