"""Which absolutely imported modules are config files: those below a *package of configs*.

A package says so in its ``__init__.py`` with the line ``__lazycfg_configs__ = True``; `lazycfg.model_zoo`
and the ``configs`` of `lazycfg.projects` are such. When a config file writes
``from lazycfg.model_zoo.common.models.mask_rcnn_fpn import model``, that module is run by the loader, as a
relative import would be: fresh objects at every load, once per load. In ordinary code the same line is an
ordinary Python import.

A package can also be told by its name: after `take_as_configs("configs")` every package of that name is one.

Nothing is imported to find this out: packages are located through the finders of ``sys.meta_path``.
"""

import re
import sys
from pathlib import Path

from lazycfg.config.signatures.modules import on_the_way_to

MARK = "__lazycfg_configs__"
_MARK_LINE = re.compile(rb"^__lazycfg_configs__\s*(?::\s*bool\s*)?=\s*True\b", re.MULTILINE)
_ALWAYS = re.compile(r"lazycfg\.(model_zoo|projects\.\w+\.configs)")
_by_name: set[str] = set()


def take_as_configs(name: str) -> None:
    """Let config files import what is below packages of this name as config files, from now on.

    For the configs of other projects, which are not marked: `from projects.dino.configs.train import train`.
    """
    _by_name.add(name)


def take_as_code(name: str) -> None:
    """Undo `take_as_configs`."""
    _by_name.discard(name)


def find_config_package(name: str) -> tuple[str, str] | None:
    """Return the package of configs that a module is in or is, as ``(package, folder)``; else None."""
    if name.partition(".")[0] in sys.stdlib_module_names:
        return None
    for package, module, _, folders in on_the_way_to(name):
        marked = any(map(_is_marked, folders)) if module is None else getattr(module, MARK, False)
        if folders and (marked or _ALWAYS.fullmatch(package) or package.rpartition(".")[2] in _by_name):
            return package, folders[0]
    return None


def _is_marked(folder: str) -> bool:
    init = Path(folder, "__init__.py")
    return init.is_file() and _MARK_LINE.search(init.read_bytes()) is not None
