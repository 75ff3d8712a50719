"""One run to a folder: a lock that the operating system lets go of when the process ends, however it ends."""

import logging
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lazycfg.config.tree.repr import printable
from lazycfg.utils import broadcast_object, is_main_process

if sys.platform != "win32":
    import fcntl

__all__ = ["OutputDirInUseError", "lock_folder"]

logger = logging.getLogger(__name__)

_NAME = ".run.lock"


class OutputDirInUseError(FileExistsError):
    """Raised if the output folder holds checkpoints of another run, or another run writes into it now."""


@contextmanager
def lock_folder(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Hold a folder for this run, for the time of the block; every process calls this, the main one locks.

    A file in the folder is locked with the operating system (not on Windows). Forked workers do not hold the
    lock: it is free as soon as the main process is gone. The file, and the folder if nothing was put into it,
    are removed afterwards.

    Raises:
        OutputDirInUseError: another process holds it; names the process and its machine.
    """
    held, holder = None, ""
    path = Path(folder) / _NAME
    made: list[Path] = []
    if is_main_process() and sys.platform != "win32":
        made = [parent for parent in (path.parent, *path.parent.parents) if not parent.exists()]
        with suppress(OSError):  # a folder that cannot be written to is told about elsewhere
            path.parent.mkdir(parents=True, exist_ok=True)
            held, holder = _lock(path)
    if holder := broadcast_object(holder):
        raise OutputDirInUseError(
            f"another run writes into {os.fspath(folder)} now ({holder}). Wait for it, end it, or choose "
            "another folder: train.output_dir=..."
        )
    try:
        yield
    finally:
        if held is not None:
            path.unlink(missing_ok=True)  # while it is held: who waits for it notices that it is gone
            os.close(held)
        with suppress(OSError):  # not empty, or gone
            for parent in made:
                parent.rmdir()


def _lock(path: Path) -> tuple[int | None, str]:
    """Return the descriptor of the locked file, or the name of the process that holds it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            # Of the process, not of the open file: a forked worker does not keep it
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            holder = os.read(descriptor, 300).decode(errors="replace").strip()
            os.close(descriptor)
            return None, printable(holder) or "its process is not known"
        except OSError as error:
            os.close(descriptor)
            logger.warning(
                "%s cannot be locked (%s): take care that no other run writes into it", path.parent, error
            )
            return None, ""
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                break
        os.close(descriptor)  # it was the file of a run that has just ended
    os.ftruncate(descriptor, 0)
    about = f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}"
    os.write(descriptor, f"{about}\n".encode())
    return descriptor, ""
