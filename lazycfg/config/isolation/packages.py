"""Which absolutely imported modules are config files: those below a *package of configs*.

A package says so in its ``__init__.py`` with the line ``__lazycfg_configs__ = True``; `lazycfg.model_zoo`
is one. When a config file writes ``from lazycfg.model_zoo.common.models.mask_rcnn_fpn import model``, that
module is run by the loader, as a relative import would be: fresh objects at every load, once per load. In
ordinary code the same line is an ordinary Python import.

Nothing is imported to find this out: packages are located through the finders of ``sys.meta_path``.
"""

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from lazycfg.config.signatures.modules import find_spec_of

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
    spec = find_spec_of(package, parent_folders)
    if spec is None or not spec.submodule_search_locations:
        return None
    folders = tuple(spec.submodule_search_locations)
    return folders, package in _ALWAYS or _is_marked(folders)


def _is_marked(folders: Iterable[str]) -> bool:
    for folder in folders:
        init = Path(folder, "__init__.py")
        if init.is_file() and _MARK_LINE.search(init.read_bytes()):
            return True
    return False
