"""Files that are there whole or not at all, and files that are never written through a link.

It stands beside the packages because both `lazycfg.config` and `lazycfg.utils` write files and neither may
import the other.
"""

import os
import re
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

if sys.platform != "win32":
    import fcntl

__all__ = ["atomic_write", "open_for_appending", "remove_partial_files"]

_PARTIAL = re.compile(r"\.partial-[0-9a-f]{16}-.+")
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it takes the place of ``path`` in one step.

    The block writes the file in whichever way it likes (``torch.save(x, tmp)``, ``tmp.write_text(...)``).
    When it ends, the bytes are forced to disk and renamed over ``path``, with the mode that the umask gives;
    when it raises, or the process dies, ``path`` is what it was before. The temporary file is new and has a
    random name, ``.partial-<random>-<name>``, so it is never somebody else's file or link.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".partial-{secrets.token_hex(8)}-{target.name}")
    made = os.open(partial, os.O_CREAT | os.O_EXCL | os.O_RDWR | _NO_LINK, 0o666)
    try:
        _mark_as_in_use(made)
        mode = stat.S_IMODE(os.fstat(made).st_mode)
        yield partial
        # The block may have put another file in its place, with another mode
        written = os.open(partial, os.O_RDWR | _NO_LINK)
        try:
            if hasattr(os, "fchmod"):
                os.fchmod(written, mode)
            os.fsync(written)
        finally:
            os.close(written)
        if os.name == "nt":  # which renames no open file
            os.close(made)
            made = -1
        os.replace(partial, target)
    except BaseException:
        if made >= 0 and os.name == "nt":
            os.close(made)
            made = -1
        with suppress(OSError):
            partial.unlink()
        raise
    finally:
        if made >= 0:
            os.close(made)
    _sync_folder(target.parent)


def remove_partial_files(folder: str | os.PathLike[str]) -> list[Path]:
    """Delete what killed processes left of `atomic_write` in a folder; return what was deleted.

    Only files of that very pattern, in this folder itself, that no living process is writing.
    """
    removed = []
    with suppress(OSError):
        for path in Path(folder).iterdir():
            if _PARTIAL.fullmatch(path.name) and not path.is_symlink() and path.is_file():
                with suppress(OSError):
                    if not _is_in_use(path):
                        path.unlink()
                        removed.append(path)
    return removed


def open_for_appending(path: str | os.PathLike[str]) -> TextIO:
    """Open a text file to append to, as UTF-8; make it if it is not there.

    Raises:
        OSError: it cannot be opened, or is a link, a folder or a pipe instead of a file; names the path.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | _NO_LINK | getattr(os, "O_NONBLOCK", 0)
    if Path(path).is_symlink():
        raise OSError(f"{os.fspath(path)} is a link; nothing is written through a link: remove it first")
    descriptor = os.open(path, flags, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{os.fspath(path)} is no ordinary file: remove it first")
    return open(descriptor, "a", encoding="utf-8")


def _mark_as_in_use(descriptor: int) -> None:
    """Lock an open file for as long as it stays open, even if the process is killed."""
    if sys.platform != "win32":
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)


def _is_in_use(path: Path) -> bool:
    if sys.platform == "win32":  # which deletes no open file
        return False
    descriptor = os.open(path, os.O_RDONLY | _NO_LINK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable; systems that cannot open a folder (Windows) do not need it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
