"""Answers ``import detectron2`` with lazycfg, for programs that were written for detectron2.

    import lazycfg.compat.detectron2  # before the first import of detectron2

or, without touching the program, ``python -m lazycfg.compat script.py ...``. Importing this module switches
the alias on: that is its purpose, and no other module of lazycfg does anything of the kind.

What a program then gets has detectron2's conventions: BGR arrays, images (H, W, C), lists of dicts,
checkpoints that need not fit. Where detectron2 itself is installed it is used, unless the environment
variable ``LAZYCFG_COMPAT`` is ``force``. `fvcore` and `iopath` are answered where they are not installed.
"""

from __future__ import annotations

import logging
import os
import sys

from lazycfg.compat.finder import AliasFinder, is_installed
from lazycfg.config.isolation.packages import take_as_code, take_as_configs

from . import omegaconf_answers
from .names import DETECTRON2, DETECTRON2_GONE, FVCORE, IOPATH
from .version import FVCORE_VERSION, VERSION

__all__ = ["is_on", "switch_off", "switch_on"]

logger = logging.getLogger(__name__)

# What a lazy file of such a project imports from there is loaded as a config file, as it is meant.
_CONFIGS = "configs"
_TITLE = "lazycfg's alias of detectron2 (docs/migration/from-detectron2.md)"


def switch_on(*, force: bool | None = None) -> bool:
    """Let ``import detectron2`` lead to lazycfg.

    Args:
        force: also where detectron2 itself is installed; None: if the environment says
            ``LAZYCFG_COMPAT=force``.

    Returns:
        whether the alias answers.

    Raises:
        ImportError: detectron2 itself has been imported already and must not be mixed with this one.
    """
    force = os.environ.get("LAZYCFG_COMPAT") == "force" if force is None else force
    if is_on():
        return True
    loaded = sys.modules.get("detectron2")
    if is_installed("detectron2") and not force:
        logger.warning(
            "detectron2 itself is installed and is used; to run on lazycfg instead set "
            "LAZYCFG_COMPAT=force, or "
            "uninstall it: pip uninstall detectron2"
        )
        return False
    if loaded is not None:
        raise ImportError(
            "detectron2 itself has been imported already; import lazycfg.compat.detectron2 before it, at the "
            "start of the program"
        )
    sys.meta_path.insert(
        0, AliasFinder("detectron2", DETECTRON2, gone=DETECTRON2_GONE, title=_TITLE, version=VERSION)
    )
    for package, modules, version in (("fvcore", FVCORE, FVCORE_VERSION), ("iopath", IOPATH, "0.1.9")):
        if not is_installed(package):
            title = f"the part of {package} that lazycfg answers"
            sys.meta_path.append(AliasFinder(package, modules, gone={}, title=title, version=version))
    take_as_configs(_CONFIGS)
    omegaconf_answers.switch_on()
    return True


def is_on() -> bool:
    """Return whether ``import detectron2`` leads to lazycfg."""
    return any(isinstance(f, AliasFinder) and f.package == "detectron2" for f in sys.meta_path)


def switch_off() -> None:
    """Take the alias away again, and the modules that were imported through it."""
    take_as_code(_CONFIGS)
    omegaconf_answers.switch_off()
    packages = {f.package for f in sys.meta_path if isinstance(f, AliasFinder)}
    sys.meta_path[:] = [f for f in sys.meta_path if not isinstance(f, AliasFinder)]
    for name in [name for name in sys.modules if name.partition(".")[0] in packages]:
        del sys.modules[name]


switch_on()
