"""Where a name of detectron2 or fvcore is with us."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from types import ModuleType

__all__ = ["THEIRS", "find_ours"]

THEIRS = ("detectron2", "fvcore")
"""The packages whose names are replaced."""

_AT = {
    "detectron2.config.LazyCall": "lazycfg.LazyCall",
    "detectron2.config.LazyConfig": "lazycfg.LazyConfig",
    "detectron2.config.instantiate": "lazycfg.instantiate",
    "detectron2.config.lazy.LazyCall": "lazycfg.LazyCall",
    "detectron2.config.lazy.LazyConfig": "lazycfg.LazyConfig",
    "detectron2.config.instantiate.instantiate": "lazycfg.instantiate",
    "detectron2.config.dump_dataclass": "lazycfg.dump_dataclass",
    "detectron2.evaluation.RepeatFactorTrainingSampler": "lazycfg.data.RepeatFactorTrainingSampler",
}
_PACKAGES = {
    "fvcore.common.param_scheduler": "lazycfg.solver",
    "fvcore.transforms.transform": "lazycfg.data.transforms",
    "fvcore.nn": "lazycfg.layers",
}


def find_ours(origin: str) -> tuple[str, str] | None:
    """Return the module and name for `package.module.Name` of detectron2 or fvcore; None for none.

    Of the packages that offer the name the one nearest to the top is taken: `lazycfg.modeling` for
    `detectron2.modeling.backbone.fpn.LastLevelMaxPool`.
    """
    if origin in _AT:
        module, _, name = _AT[origin].rpartition(".")
        return module, name
    module, _, name = origin.rpartition(".")
    for package in _candidates(module):
        try:
            found = importlib.import_module(package)
        except ImportError:
            break
        if name in getattr(found, "__all__", ()) or (hasattr(found, name) and not _is_elsewhere(found, name)):
            return package, name
        if isinstance(getattr(found, name, None), ModuleType) or _is_module(package, name):
            return package, name
    return None


def _is_module(package: str, name: str) -> bool:
    return find_spec(f"{package}.{name}") is not None


def _candidates(module: str) -> list[str]:
    for prefix, package in _PACKAGES.items():
        if module == prefix or module.startswith(f"{prefix}."):
            return [package]
    words = module.split(".")
    if words[0] != "detectron2":
        return []
    return ["lazycfg", *(".".join(["lazycfg", *words[1:end]]) for end in range(2, len(words) + 1))]


def _is_elsewhere(module: ModuleType, name: str) -> bool:
    """Return whether a name in a module is one that it imports from outside this package for itself."""
    home = getattr(getattr(module, name), "__module__", module.__name__)
    return isinstance(home, str) and not home.startswith("lazycfg")
