"""The output folder of a run, before anything is written into it."""

import os
import shutil
from pathlib import Path

from torch import nn
from torch.optim import SGD, Optimizer

from ..settings import TrainSettings
from .findings import Findings

__all__ = ["check_folder", "check_space", "checkpoint_bytes"]


def check_folder(settings: TrainSettings, found: Findings) -> None:
    """See whether the output folder can be made, or be written into."""
    folder = Path(settings.output_dir).absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists() or path.is_symlink())
    where, remedy = "train.output_dir", "train.output_dir=FOLDER"
    if not there.is_dir():
        found.add(where, f"{there} is no folder, so {folder} cannot be one", remedy)
    elif not os.access(there, os.W_OK | os.X_OK):
        found.add(where, f"{there} cannot be written into", remedy)


def check_space(settings: TrainSettings, model: nn.Module, optimizer: Optimizer, found: Findings) -> None:
    """See whether there is space for a checkpoint, and for those that are kept.

    While one is written the one before is still there, so two must have room.
    """
    folder = Path(settings.output_dir).absolute()
    there = next((path for path in (folder, *folder.parents) if path.is_dir()), None)
    if there is None:
        return
    free = shutil.disk_usage(there).free
    size = checkpoint_bytes(model, optimizer)
    if free < size:
        found.add(
            "train.output_dir",
            f"a checkpoint takes about {_mib(size)}, and {there} has {_mib(free)} left",
            "train.output_dir=FOLDER on a disk with more space",
        )
        return
    kept = settings.checkpointer.max_to_keep
    period = settings.checkpointer.period
    written = 1 + (settings.max_iter // period if period else 0)
    count = written if kept is None else min(kept, written)
    if free < (count + 1) * size:
        found.remark(
            f"{count} checkpoints of about {_mib(size)} are kept, and {there} has {_mib(free)} left: "
            "train.checkpointer.max_to_keep=1 keeps fewer"
        )


def checkpoint_bytes(model: nn.Module, optimizer: Optimizer) -> int:
    """Estimate the size of a checkpoint: the weights, and what an optimizer remembers of each of them."""
    per_value = 1 if isinstance(optimizer, SGD) else 2
    weights = sum(value.nbytes for value in model.state_dict().values())
    trained = sum(p.nbytes for group in optimizer.param_groups for p in group["params"])
    return weights + per_value * trained


def _mib(count: float) -> str:
    return f"{count / 2**30:.1f} GiB" if count > 2**30 else f"{count / 2**20:.0f} MiB"
