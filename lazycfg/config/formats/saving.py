"""Writing a config to a file, by its suffix."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lazycfg._atomic import atomic_write
from lazycfg.config.formats.json_io import to_json
from lazycfg.config.formats.python_io import to_py
from lazycfg.config.formats.suffixes import format_of
from lazycfg.config.formats.yaml_io import to_yaml

__all__ = ["WRITERS", "save"]

WRITERS: dict[str, Callable[[Any], str]] = {"py": to_py, "yaml": to_yaml, "json": to_json}


def save(cfg: Any, path: str | os.PathLike[str]) -> None:
    """Write a config as executable Python, YAML or JSON; loading the file gives an equal tree.

    The file appears at once or not at all: it is written beside its place and renamed.

    Raises:
        FormatError: the suffix is none of ``.py``, ``.yaml``, ``.yml``, ``.json``.
        SaveError: something in the config cannot be kept; nothing is written.
        CycleError: the config contains itself.
    """
    text = WRITERS[format_of(path)](cfg)
    with atomic_write(Path(path).expanduser()) as partial:
        partial.write_bytes(text.encode("utf-8"))
