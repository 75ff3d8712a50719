"""Data files that this process has written itself: their names are as trusted as the objects they were
written from.
"""

from __future__ import annotations

import hashlib

__all__ = ["remember_written", "written_here"]

_LIMIT = 4096
_digests: dict[bytes, None] = {}


def remember_written(data: bytes) -> None:
    """Note the content of a file that was just written."""
    while len(_digests) >= _LIMIT:
        del _digests[next(iter(_digests))]
    _digests[hashlib.sha256(data).digest()] = None


def written_here(data: bytes) -> bool:
    """Whether this very content was written by this process."""
    return hashlib.sha256(data).digest() in _digests
