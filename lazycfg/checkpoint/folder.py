"""The files of checkpoints in a folder: which there are, which is the last, whether they are as written."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from lazycfg.checkpoint.errors import CheckpointError, MissingCheckpointError
from lazycfg.config.tree.repr import printable
from lazycfg.utils import atomic_write

__all__ = [
    "POINTER",
    "WEIGHTS",
    "checkpoints_in",
    "last_checkpoint",
    "old_checkpoints",
    "remove_checkpoint",
    "trainer_file",
    "verify_checksums",
    "write_checksums",
    "write_pointer",
]

WEIGHTS, POINTER = ".safetensors", "last_checkpoint"
_TRAINER, _SUMS = ".trainer.pt", ".sha256"


def trainer_file(weights: Path) -> Path:
    """Return the file beside the weights that has the rest of a checkpoint."""
    return weights.with_name(weights.name.removesuffix(WEIGHTS) + _TRAINER)


def _sums_file(weights: Path) -> Path:
    return weights.with_name(weights.name.removesuffix(WEIGHTS) + _SUMS)


def checkpoints_in(folder: Path) -> list[Path]:
    """Return the weights of all checkpoints in a folder, by iteration and name."""
    found = [path for path in folder.glob(f"*{WEIGHTS}") if trainer_file(path).is_file()]
    return sorted(found, key=lambda path: (_iteration(path), path.name))


def _to_lose(folder: Path) -> list[Path]:
    """Return the checkpoints of a folder, and weights that a run writes only after its first checkpoint."""
    named = [path for path in folder.glob(f"model_*{WEIGHTS}") if re.search(r"(\d|_final)$", path.stem)]
    return sorted({*checkpoints_in(folder), *named})


def last_checkpoint(folder: Path) -> Path | None:
    """Return the weights of the last completed checkpoint in a folder, None where there are no checkpoints.

    A run that was killed while it completed its very first checkpoint has left one that is whole and that
    nothing names yet: it is the last.

    Raises:
        CheckpointError: the folder has checkpoints and does not say which is the last; the message lists them
            and says what to do.
    """
    pointer = folder / POINTER
    if not pointer.exists() and not pointer.is_symlink():
        there = _to_lose(folder)
        if len(there) == 1 and trainer_file(there[0]).is_file() and not _sums_file(there[0]).exists():
            return there[0]
        if there:
            raise CheckpointError(_lost(folder, "is missing"))
        return None
    if pointer.is_symlink() or not pointer.is_file():
        raise CheckpointError(_lost(folder, "is no ordinary file"))
    try:
        name = pointer.read_bytes()[:1000].decode().strip()
    except (OSError, UnicodeDecodeError):
        raise CheckpointError(_lost(folder, "cannot be read")) from None
    if not name:
        raise CheckpointError(_lost(folder, "is empty"))
    if name != Path(name).name or not name.isprintable() or len(name) > 200:
        raise CheckpointError(_lost(folder, "is not the name of one file in the folder"))
    if not (folder / name).is_file():
        raise MissingCheckpointError(_lost(folder, f"names {name}, which is gone"))
    return folder / name


def _lost(folder: Path, why: str) -> str:
    names = [path.name for path in checkpoints_in(folder)]
    alone = sorted(path.name for path in folder.glob(f"*{WEIGHTS}") if path.name not in names)
    there = f"There are {', '.join(names) or 'none'}"
    if alone:
        there += f", and without a training state {', '.join(alone)}"
    go_on = f"To go on from one, name it: echo {names[-1]} > {folder / POINTER}. " if names else ""
    return printable(
        f"which checkpoint in {folder} is the last is not known: {folder / POINTER} {why}. {there}. {go_on}"
        "To begin a new run, choose another folder: train.output_dir=..."
    )


def write_pointer(weights: Path) -> None:
    """Make a checkpoint the last one of its folder."""
    with atomic_write(weights.with_name(POINTER)) as partial:
        partial.write_text(f"{weights.name}\n")


def write_checksums(weights: Path) -> None:
    """Write the checksums of a checkpoint's files beside them, as ``sha256sum --check`` reads them."""
    files = (weights, trainer_file(weights))
    with atomic_write(_sums_file(weights)) as partial:
        partial.write_text("".join(f"{_sum_of(file)}  {file.name}\n" for file in files))


def verify_checksums(weights: Path) -> bool:
    """Compare a checkpoint's files with their checksums.

    Returns:
        whether there are checksums; older checkpoints have none.

    Raises:
        CheckpointError: a file is not what was saved.
    """
    sums = _sums_file(weights)
    if not sums.is_file():
        return False
    found = re.findall(r"^([0-9a-f]{64})  (\S.*)$", sums.read_bytes()[:10_000].decode(errors="replace"), re.M)
    expected = {name: digest for digest, name in found}
    for file in (weights, trainer_file(weights)):
        if not file.is_file():  # as when only the weights were copied
            continue
        if expected.get(file.name) != _sum_of(file):
            others = [path.name for path in checkpoints_in(weights.parent) if path != weights]
            raise CheckpointError(
                f"{file} is not what was saved: its checksum is not the one in {sums.name}. The disk or a "
                "copy is damaged, or it was edited. Go on from another checkpoint by writing its name into "
                f"{weights.with_name(POINTER)} (there are: {', '.join(others) or 'no others'}); if the "
                f"change was meant, delete {sums}"
            )
    return True


def _sum_of(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def old_checkpoints(newest: Path, keep: int) -> list[Path]:
    """Return the numbered checkpoints that are too many beside the newest, those to go first.

    Only those of the newest's own naming (``model_0004999``) count. Those with a larger number than the
    newest are of a run that was gone back behind: they go first. Clocks play no part.
    """
    prefix, number = _parts(newest)
    others = [path for path in checkpoints_in(newest.parent) if path != newest]
    same = [path for path in others if _parts(path)[0] == prefix and _iteration(path) >= 0]
    same.sort(key=lambda path: (_iteration(path) < number, _iteration(path)))
    spared = keep - (number >= 0)
    return same[: max(len(same) - spared, 0)] if number >= 0 else []


def remove_checkpoint(weights: Path) -> None:
    """Delete the files of a checkpoint."""
    for file in (weights, trainer_file(weights), _sums_file(weights)):
        file.unlink(missing_ok=True)


def _parts(weights: Path) -> tuple[str, int]:
    stem = weights.name.removesuffix(WEIGHTS)
    digits = re.search(r"[0-9]{1,18}$", stem)
    return (stem, -1) if digits is None else (stem[: digits.start()], int(digits[0]))


def _iteration(weights: Path) -> int:
    return _parts(weights)[1]
