"""Files that are there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["atomic_write"]

_PREFIX = ".partial-"


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it takes the place of ``path`` in one step.

    The block writes the file in whichever way it likes (``torch.save(x, tmp)``, ``tmp.write_text(...)``).
    When it ends, the bytes are forced to disk and renamed over ``path``; when it raises, or the process dies,
    ``path`` is what it was before. The temporary name starts with ``.partial-`` and keeps the suffix.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{_PREFIX}{os.getpid()}-{target.name}")
    try:
        yield partial
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, target)
    except BaseException:
        with suppress(OSError):
            partial.unlink()
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable; systems that cannot open a folder (Windows) do not need it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
