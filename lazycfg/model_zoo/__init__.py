"""The model zoo: config files, found by their path below this folder.

Example::

    from lazycfg import model_zoo
    cfg = model_zoo.get_config("COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_1x.py")
"""

import difflib
from pathlib import Path

from lazycfg.config.lazy import LazyConfig
from lazycfg.config.tree.node import Node

__all__ = ["get_config", "get_config_file", "list_configs"]

_ROOT = Path(__file__).resolve().parent


def list_configs() -> list[str]:
    """All config files that describe a whole job, relative to the zoo's folder."""
    files = (path.relative_to(_ROOT) for path in _ROOT.rglob("*.py") if path.name != "__init__.py")
    return sorted(path.as_posix() for path in files if path.parts[0] != "common" and len(path.parts) > 1)


def get_config_file(config_path: str) -> str:
    """Absolute path of a zoo config such as ``"COCO-Detection/faster_rcnn_R_50_FPN_1x.py"``.

    Raises:
        FileNotFoundError: no such config; the message names the nearest ones.
    """
    path = _ROOT / config_path
    if not path.is_file():
        known = list_configs()
        near = difflib.get_close_matches(config_path, known, n=3, cutoff=0.4) or known
        raise FileNotFoundError(f"no config {config_path!r} in the model zoo; nearest: {', '.join(near)}")
    return str(path)


def get_config(config_path: str) -> Node:
    """Load a zoo config: a fresh tree at every call, free to edit.

    Raises:
        FileNotFoundError: no such config; the message names the nearest ones.
    """
    return LazyConfig.load(get_config_file(config_path))
