"""The weights that a run begins with, loaded or told about."""

import os
from pathlib import Path
from typing import Any

from torch import nn

from lazycfg.checkpoint import Checkpointer, CheckpointError, WeightsMismatchError, load_weights
from lazycfg.checkpoint.remote import remote_file

from ..settings import TrainSettings
from .findings import Findings

__all__ = ["check_initial_weights", "load_initial", "resume_or_load"]


def check_initial_weights(settings: TrainSettings, found: Findings) -> None:
    """See whether the file of ``train.init_checkpoint`` is there; nothing is read or downloaded."""
    source = os.fspath(settings.init_checkpoint)
    if not source or Path(source).is_file():
        return
    try:
        remote = remote_file(source)
    except CheckpointError as error:
        found.add_error(error, "train.init_checkpoint")
        return
    if remote is None:
        found.add(
            "train.init_checkpoint", f"there is no file {source}, and no published weights of that name"
        )
    elif not remote.path.is_file():
        found.unjudged(f"the weights {source}: a run downloads them to {remote.path} before it begins")


def load_initial(model: nn.Module, settings: TrainSettings, found: Findings) -> None:
    """Load ``train.init_checkpoint`` into a model that is not going to be trained, to see whether it fits."""
    if settings.init_checkpoint:
        try:
            load_weights(model, settings.init_checkpoint, ignore=settings.init_ignore)
        except Exception as error:  # whatever reading a file raises
            _add(error, settings, found)


def resume_or_load(
    checkpointer: Checkpointer, settings: TrainSettings, found: Findings, *, resume: bool
) -> dict[str, Any]:
    """Load what a run begins with; initial weights that do not fit are a problem, others raise.

    Returns:
        the extra values of a resumed checkpoint.
    """
    try:
        return checkpointer.resume_or_load(
            settings.init_checkpoint, resume=resume, ignore=settings.init_ignore
        )
    except Exception as error:  # whatever reading a file raises
        if resume and checkpointer.has_checkpoint():
            raise
        _add(error, settings, found)
        return {}


def _add(error: Exception, settings: TrainSettings, found: Findings) -> None:
    if not isinstance(error, WeightsMismatchError):
        found.add_error(error, "train.init_checkpoint")
        return
    found.first_error = found.first_error or error
    patterns = error.report.suggested_ignore()
    if not error.report.loaded or isinstance(patterns, str):
        found.add("train.init_checkpoint", str(error))
        return
    patterns = [*settings.init_ignore, *patterns]
    listed = ", ".join(f'"{pattern}"' for pattern in patterns)
    reasons = [
        f"{name} {', '.join(keys[:4])}{', ...' if len(keys) > 4 else ''}" for name, keys in _reasons(error)
    ]
    found.add(
        "train.init_checkpoint",
        f"{settings.init_checkpoint} does not fit the model: {'; '.join(reasons)}",
        f"to train these anew: 'train.init_ignore=[{listed}]'",
    )


def _reasons(error: WeightsMismatchError) -> list[tuple[str, list[str]]]:
    report = error.report
    shapes = [
        f"{m.key} {'x'.join(map(str, m.file_shape))} for {'x'.join(map(str, m.model_shape))}"
        for m in report.mismatched
    ]
    named = [
        ("of another shape:", shapes),
        ("not in the file:", list(report.missing)),
        ("not in the model:", list(report.unexpected)),
    ]
    return [(name, keys) for name, keys in named if keys]
