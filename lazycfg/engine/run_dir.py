"""The output folder of a run: whose it is, and what is written into it before training."""

import difflib
import logging
from pathlib import Path
from typing import Any

from lazycfg.config.lazy import LazyConfig
from lazycfg.utils import broadcast_object, is_main_process

__all__ = ["OutputDirInUseError", "check_output_dir", "save_config"]

logger = logging.getLogger(__name__)


class OutputDirInUseError(FileExistsError):
    """The output folder holds the checkpoints of another run."""


def check_output_dir(output_dir: str | Path, *, resume: bool) -> None:
    """Refuse to write over another run.

    A folder without a checkpoint is taken: nothing is lost when the files of a run that died early are
    replaced.

    Raises:
        OutputDirInUseError: the folder has a checkpoint, and the run is not to resume from it.
    """
    pointer = Path(output_dir) / "last_checkpoint"
    taken = is_main_process() and not resume and pointer.is_file()
    if broadcast_object(taken):
        raise OutputDirInUseError(
            f"{output_dir} holds a run already (its last checkpoint is {pointer.read_text().strip()}). "
            "Go on with it by --resume (train(cfg, resume=True)), choose another folder with "
            "train.output_dir=..., or delete this one"
        )


def save_config(cfg: Any, output_dir: str | Path) -> None:
    """Write the config as ``config.yaml`` and, executable, as ``config.py``; main process only.

    When the folder has one already (of the run that is resumed), the difference is logged. A config that
    cannot be written, because something in it has no source, does not stop the run: a message says so.
    """
    if not is_main_process():
        return
    folder = Path(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("config.py", "config.yaml"):
        path = folder / name
        before = path.read_text().splitlines() if path.is_file() else None
        try:
            LazyConfig.save(cfg, path)
        except Exception as error:
            logger.warning("could not write %s (the run goes on): %s", path, error)
            continue
        if before is not None and name == "config.yaml":
            changes = difflib.unified_diff(before, path.read_text().splitlines(), n=0, lineterm="")
            changed = [line for line in list(changes)[2:] if not line.startswith("@@")]
            if changed:
                logger.warning("the config has changed since this run began:\n%s", "\n".join(changed[:60]))
