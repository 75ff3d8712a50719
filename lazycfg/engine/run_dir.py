"""The output folder of a run: whose it is, and what is written into it before training."""

import difflib
import logging
import os
from pathlib import Path
from typing import Any

from lazycfg.checkpoint import CheckpointError, last_checkpoint
from lazycfg.config.lazy import LazyConfig
from lazycfg.config.tree.node import Node
from lazycfg.config.tree.parents import overlay
from lazycfg.utils import broadcast_object, is_main_process

from .build import build_at
from .run_lock import OutputDirInUseError

__all__ = ["check_output_dir", "evaluation_dir", "evaluator_into", "save_config"]

logger = logging.getLogger(__name__)

# Settings that a resumed run does not read: it goes on with the generators and weights of its checkpoint
_ONLY_AT_THE_BEGINNING = ("seed", "init_checkpoint", "init_ignore")


def check_output_dir(output_dir: str | Path, *, resume: bool) -> None:
    """Refuse to write over another run.

    A folder without a checkpoint is taken: nothing is lost when the files of a run that died early are
    replaced.

    Raises:
        OutputDirInUseError: the folder has a checkpoint, and the run is not to resume from it.
        CheckpointError: the folder has checkpoints, but does not say which is the last.
    """
    error: Exception | None = None
    if is_main_process():
        try:
            last = last_checkpoint(Path(output_dir))
            if last is not None and not resume:
                error = OutputDirInUseError(
                    f"{output_dir} holds a run already (its last checkpoint is {last.name}). Go on with it "
                    "by --resume (train(cfg, resume=True)), choose another folder with "
                    "train.output_dir=..., or delete this one"
                )
        except CheckpointError as caught:
            error = caught
    if (error := broadcast_object(error)) is not None:
        raise error


def evaluation_dir(output_dir: str | Path, weights: str | os.PathLike[str] | None) -> str:
    """Return a folder for one evaluation that nothing is in yet; every process calls this.

    Args:
        output_dir: of the run.
        weights: the file evaluated, None for a model in memory.

    Returns:
        ``<output_dir>/evaluation/<name of the weights>``, with a number where that is taken.
    """
    name = "model" if weights is None else Path(weights).stem
    first = folder = Path(output_dir) / "evaluation" / name
    number = 1
    while folder.exists():
        number += 1
        folder = first.with_name(f"{name}_{number}")
    return str(broadcast_object(str(folder)))


def evaluator_into(cfg: Node, output_dir: str, folder: str) -> Node:
    """Return a config whose evaluator writes into ``folder`` what it would write into ``output_dir``."""
    path = "dataloader.evaluator.output_dir"
    node = cfg.get("dataloader", {}).get("evaluator")
    if not isinstance(node, Node) or node.get("output_dir") is None:
        return cfg
    written = Path(build_at(cfg, [path])[path])
    if not written.resolve().is_relative_to(Path(output_dir).resolve()):
        return cfg
    inside = written.resolve().relative_to(Path(output_dir).resolve())
    evaluator, dataloader, result = overlay(node), overlay(cfg["dataloader"]), overlay(cfg)
    evaluator["output_dir"] = str(Path(folder) / inside)
    dataloader["evaluator"] = evaluator
    result["dataloader"] = dataloader
    return result


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
            keys = dict.fromkeys(line[1:].partition(":")[0].strip() for line in changed)
            if idle := [key for key in keys if key in _ONLY_AT_THE_BEGINNING]:
                logger.warning(
                    "without effect on a run that goes on, which takes this from its checkpoint: %s",
                    ", ".join(idle),
                )
