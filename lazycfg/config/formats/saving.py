"""Writing a config to a file, by its suffix."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lazycfg.config.formats.json_io import to_json
from lazycfg.config.formats.python_io import to_py
from lazycfg.config.formats.suffixes import format_of
from lazycfg.config.formats.yaml_io import to_yaml

__all__ = ["WRITERS", "atomic_write", "save"]

WRITERS: dict[str, Callable[[Any], str]] = {"py": to_py, "yaml": to_yaml, "json": to_json}


def save(cfg: Any, path: str | os.PathLike[str]) -> None:
    """Write a config as executable Python, YAML or JSON; loading the file gives an equal tree.

    The file appears at once or not at all: it is written beside its place and renamed.

    Raises:
        FormatError: the suffix is none of ``.py``, ``.yaml``, ``.yml``, ``.json``.
        SaveError: something in the config cannot be kept; nothing is written.
        CycleError: the config contains itself.
    """
    file = Path(path).expanduser()
    kind = format_of(path)
    atomic_write(file, WRITERS[kind](cfg).encode("utf-8"))


def atomic_write(file: Path, data: bytes) -> None:
    """Replace the content of a file in one step."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
