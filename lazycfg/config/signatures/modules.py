"""Where modules are, found through the finders of `sys.meta_path` without importing anything."""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType


def locate_module(name: str) -> str | None:
    """Return the file of a module, found without importing anything; a package's is its ``__init__.py``.

    A built-in or extension module, a folder without ``__init__.py``: the empty text, or the path of its
    binary. None when there is no such module.
    """
    found = list(on_the_way_to(name))
    return found[-1][2] if len(found) == name.count(".") + 1 else None


def hint_at_current_folder(package: str) -> str:
    """Return how Python finds a package that it does not find but that is in the current folder, on one line;
    "" when it is not there.
    """
    if not (os.path.isfile(f"{package}.py") or os.path.isdir(package)):
        return ""
    return f"{package!r} is in the current folder: start with python -m lazycfg, or set PYTHONPATH=."


def on_the_way_to(name: str) -> Iterator[tuple[str, ModuleType | None, str, tuple[str, ...]]]:
    """Yield the packages above a module and the module itself, as far as they are there: name, module where
    it is imported, file (see `locate_module`), folders of a package.
    """
    parts = name.split(".")
    folders: tuple[str, ...] | None = None
    for end in range(1, len(parts) + 1):
        package = ".".join(parts[:end])
        module = sys.modules.get(package)
        if module is not None:
            folders, file = tuple(getattr(module, "__path__", ())), getattr(module, "__file__", None) or ""
        else:
            spec = find_spec_of(package, folders)
            if spec is None:
                return
            folders = tuple(spec.submodule_search_locations or ())
            file = spec.origin if spec.has_location and spec.origin else ""
        yield package, module, file, folders
        if not folders:
            return


def find_spec_of(package: str, folders: Sequence[str] | None) -> ModuleSpec | None:
    """Return the spec of a module that stands in some folders (None: at the top); None when there is none."""
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
