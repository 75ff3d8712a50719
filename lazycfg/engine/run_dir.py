"""The output folder of a run: whose it is, and what is written into it before training."""

import difflib
import logging
import os
from pathlib import Path
from typing import Any

from lazycfg.checkpoint import CheckpointError, MissingCheckpointError, last_checkpoint
from lazycfg.config.lazy import LazyConfig
from lazycfg.config.tree.node import Node
from lazycfg.config.tree.parents import overlay
from lazycfg.utils import broadcast_object, is_main_process

from .build import build_at
from .run_lock import OutputDirInUseError

__all__ = ["check_output_dir", "evaluation_dir", "evaluator_into", "final_weights", "save_config"]

logger = logging.getLogger(__name__)

# Settings that a resumed run does not read: it goes on with the generators and weights of its checkpoint
_ONLY_AT_THE_BEGINNING = ("train.seed", "train.init_checkpoint", "train.init_ignore")


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
    """Return a folder for one evaluation that has no results in it; every process calls this.

    Args:
        output_dir: of the run.
        weights: the file evaluated, None for a model in memory.

    Returns:
        ``<output_dir>/evaluation/<name of the weights>``, with a number where that is taken. One that was
        interrupted, and left nothing but its log, is no hindrance.
    """
    name = "model" if weights is None else Path(weights).stem
    first = folder = Path(output_dir) / "evaluation" / name
    number = 1
    while folder.exists() and not _only_logs(folder):
        number += 1
        folder = first.with_name(f"{name}_{number}")
    return str(broadcast_object(str(folder)))


def _only_logs(folder: Path) -> bool:
    """Return whether nothing but logs is in a folder; while an evaluation goes on, its lock is there too."""
    return folder.is_dir() and all(path.name.startswith("log.txt") for path in folder.iterdir())


def final_weights(output_dir: str | os.PathLike[str]) -> Path:
    """Return the weights that a run ended with: ``model_final.safetensors``, else its last checkpoint.

    Raises:
        MissingCheckpointError: the folder has neither.
        CheckpointError: it has checkpoints, but does not say which is the last.
    """
    final = Path(output_dir) / "model_final.safetensors"
    found = final if final.is_file() else last_checkpoint(Path(output_dir))
    if found is None:
        raise MissingCheckpointError(f"{output_dir} holds no weights: neither {final.name} nor a checkpoint")
    return found


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


def save_config(cfg: Any, output_dir: str | Path) -> list[str]:
    """Write the config as ``config.yaml`` and, executable, as ``config.py``; main process only.

    When the folder has one already (of the run that is resumed), the difference is logged. A config that
    cannot be written, because something in it has no source, does not stop the run: a message says so.

    Returns:
        that difference: after ``-`` what ``config.yaml`` said before, after ``+`` what it says now, with the
        whole path of each key.
    """
    changed: list[str] = []
    if not is_main_process():
        return changed
    folder = Path(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("config.py", "config.yaml"):
        path = folder / name
        before = path.read_text() if path.is_file() else None
        try:
            LazyConfig.save(cfg, path)
        except Exception as error:
            logger.warning("could not write %s (the run goes on): %s", path, error)
            continue
        if before is not None and name == "config.yaml":
            changes = difflib.unified_diff(
                _with_paths(before), _with_paths(path.read_text()), n=0, lineterm=""
            )
            changed = [f"{line[0]} {line[1:]}" for line in list(changes)[2:] if line[0] in "+-"]
            if changed:
                logger.warning("the config has changed since this run began:\n%s", "\n".join(changed[:60]))
            keys = dict.fromkeys(line[2:].partition(":")[0] for line in changed)
            if idle := [key for key in keys if key in _ONLY_AT_THE_BEGINNING]:
                logger.warning(
                    "without effect on a run that goes on, which takes this from its checkpoint: %s",
                    ", ".join(idle),
                )
    return changed


def _with_paths(text: str) -> list[str]:
    """Return the lines of a config saved as YAML, each with the whole path of its key."""
    lines = []
    above: list[tuple[int, str]] = []
    for line in text.splitlines():
        said = line.lstrip(" -")
        depth = len(line) - len(said)
        while above and above[-1][0] >= depth:
            above.pop()
        path = ".".join(key for _, key in above)
        between = "" if not path else " " if line.strip().startswith("- ") else "."
        lines.append(path + between + line.strip())
        key, colon, _ = said.partition(":")
        if colon and key.isidentifier():
            above.append((depth, key))
    return lines
