"""Which format a file is in: what its suffix says, and nothing else."""

from __future__ import annotations

import os

from lazycfg.config.errors import FormatError

__all__ = ["SUFFIXES", "format_of"]

SUFFIXES = {".py": "py", ".yaml": "yaml", ".yml": "yaml", ".json": "json"}


def format_of(path: str | os.PathLike[str]) -> str:
    """One of "py", "yaml" and "json". A file that says none of these must not be run as code by mistake: that
    is a `FormatError`.
    """
    suffix = os.path.splitext(os.fspath(path))[1]
    found = SUFFIXES.get(suffix.lower())
    if found is None:
        raise FormatError(f"unknown config format of {os.fspath(path)!r}; use {', '.join(SUFFIXES)}")
    return found
