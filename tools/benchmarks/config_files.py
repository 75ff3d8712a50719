"""A config file with five relative imports, for the systems in which a config file is Python."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["loaders"]

_COUNT = 5
_CALL = "L(dict)(name='part', sizes=[1, 2, 3], rate=0.1, inner=L(dict)(depth=50, eps=1e-5))"
_DICT = "dict(name='part', sizes=[1, 2, 3], rate=0.1, inner=dict(depth=50, eps=1e-5))"


def _write(folder: Path, head: str, start: str, value: str, end: str) -> Path:
    """Six files of twenty values each; the last one imports the names of the others."""
    folder.mkdir()
    (folder / "__init__.py").touch()
    for index in range(_COUNT):
        lines = [f"part_{index}_{number} = {value}" for number in range(20)]
        (folder / f"base_{index}.py").write_text("\n".join([head, *lines, ""]))
    imports = [f"{end}from .base_{index} import *" for index in range(_COUNT)]
    own = [f"part_{number} = {value}" for number in range(20)]
    main = folder / "main.py"
    main.write_text("\n".join([head, start, *imports, *own, ""]))
    return main


def loaders(folder: Path) -> dict[str, Callable[[], Any]]:
    """By system: a function that loads the file anew."""
    found: dict[str, Callable[[], Any]] = {}
    calls = "from lazycfg import LazyCall as L"
    package = f"benchmark_{folder.name}".replace("-", "_")
    _write(folder / package, "", "", _DICT, "")
    sys.path.insert(0, str(folder))

    def plain() -> Any:
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            del sys.modules[name]
        return importlib.import_module(f"{package}.main")

    found["direct calls"] = plain

    from lazycfg import LazyConfig

    own = _write(folder / "own", calls, "", _CALL, "")
    found["lazycfg"] = lambda: LazyConfig.load(own)
    try:
        from mmengine.config import Config
    except ImportError:
        return found
    head = "from mmengine.config import read_base"
    theirs = _write(folder / "theirs", head, "with read_base():", _DICT, "    ")
    found["mmengine"] = lambda: Config.fromfile(theirs)
    return found
