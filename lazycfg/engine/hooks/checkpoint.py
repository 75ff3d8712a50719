"""Hooks that save checkpoints while training: at intervals, at the end, and the best weights."""

import json
import logging
import math
import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from lazycfg.checkpoint import Checkpointer, CheckpointError, UnsafeFileError, save_weights
from lazycfg.checkpoint.files import read_metadata
from lazycfg.utils import broadcast_object, closest, is_main_process

from .base import HookBase
from .evaluation import better_mode, newest_evaluation

__all__ = ["BestCheckpointer", "PeriodicCheckpointer"]

logger = logging.getLogger(__name__)

_BEST = "best"  # in the metadata of the best weights: the metric, its value, and when it was found


class PeriodicCheckpointer(HookBase):
    """Saves a checkpoint to resume from every ``period`` iterations, at the end, and when a signal ends the
    training.

    The end also leaves the weights alone in ``<prefix>_final.safetensors``. Losses are checked before: a
    checkpoint never holds a model that had already diverged. Must come after the hooks whose state it saves.

    Args:
        checkpointer: writes the files.
        period: iterations between checkpoints; 0 for the end only.
        file_prefix: a checkpoint after iteration 99 is called ``<prefix>_0000099``.
    """

    def __init__(self, checkpointer: Checkpointer, period: int, *, file_prefix: str = "model") -> None:
        self.checkpointer = checkpointer
        self.period = period
        self.file_prefix = file_prefix
        self._saved = -1

    def after_step(self) -> None:
        """Save a checkpoint where a period ends."""
        if self.is_due(self.period):
            self._save()

    def after_train(self) -> None:
        """Save what is not saved yet, and the final weights of a training that came to its end."""
        if self.trainer.iter == 0 or not (self.trainer.finished or self.trainer.stop_signal):
            return
        if self._saved != self.trainer.iter - 1 and self.trainer.iter > self.trainer.start_iter:
            self._save(self.trainer.iter - 1)
        if self.trainer.finished and is_main_process():
            path = Path(self.checkpointer.save_dir) / f"{self.file_prefix}_final.safetensors"
            save_weights(self.checkpointer.model, path, metadata=self.checkpointer.metadata)

    def _save(self, iteration: int | None = None) -> None:
        iteration = self.trainer.iter if iteration is None else iteration
        self.trainer.collect()
        path = self.checkpointer.save(f"{self.file_prefix}_{iteration:07d}", iteration=iteration)
        logger.info("saved %s", path)
        self._saved = iteration


class BestCheckpointer(HookBase):
    """Saves the weights with the best result of an evaluation. Must come after the `EvalHook`.

    The metadata of the file says under ``"best"`` (JSON) which metric, value and iteration it has. A run that
    goes on from an older checkpoint does not write over a file that is better.

    Args:
        save_dir: the weights go to ``<save_dir>/<file_prefix>.safetensors``.
        metric: an evaluation result, e.g. ``"segm/AP"``.
        mode: whether ``"max"`` or ``"min"`` is best; None takes the smallest value of a loss (a metric with
            "loss" in its name), and the largest of others.
        file_prefix: name of the file.
        metadata: texts to write into the file.
    """

    after_evaluation = True

    def __init__(
        self,
        save_dir: str | Path,
        metric: str,
        *,
        mode: Literal["max", "min"] | None = None,
        file_prefix: str = "model_best",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        mode = better_mode(metric, mode)
        self.path = Path(save_dir) / f"{file_prefix}.safetensors"
        self.metric = metric
        self.metadata = dict(metadata or {})
        self._better = operator.gt if mode == "max" else operator.lt
        self.best: float | None = None
        self.best_iter: int | None = None
        self._looked_at: int | None = None

    def before_train(self) -> None:
        """Look up the best value so far, of a run that goes on."""
        if self.trainer.start_iter > 0:
            if is_main_process():
                self._keep_better_file()
            self.best, self.best_iter = broadcast_object((self.best, self.best_iter))
        # A resumed run may have begun with the evaluation that the one before did not finish
        self._look()

    def after_step(self) -> None:
        """Keep the weights if an evaluation has just found them to be the best."""
        self._look()

    def after_train(self) -> None:
        """Look at the last evaluation, too."""
        if self.trainer.finished:
            self._look()

    def _keep_better_file(self) -> None:
        """Take the value of the file where it is better than what the checkpoint knows: a checkpoint may be
        older than the file.
        """
        try:
            about = json.loads(read_metadata(self.path)[_BEST])
            metric, value, iteration = about["metric"], float(about["value"]), int(about["iteration"])
        except (OSError, CheckpointError, UnsafeFileError, KeyError, TypeError, ValueError):
            return  # none, or one that does not say what it is
        if metric == self.metric and (self.best is None or self._better(value, self.best)):
            logger.warning(
                "%s is of a later iteration than the checkpoint (%s = %.4f after %d iterations): it is kept "
                "until there is a better one", self.path, metric, value, iteration + 1,
            )  # fmt: skip
            self.best, self.best_iter = value, iteration

    def _look(self) -> None:
        newest = newest_evaluation(self.trainer.hooks)
        if newest < 0 or newest == self._looked_at:
            return
        self._looked_at = newest
        if is_main_process():
            latest = self.trainer.storage.latest()
            if self.metric not in latest:
                known = [name for name in latest if "/" in name]
                logger.warning(
                    "no evaluation result %r to choose the best weights by%s Known: %s",
                    self.metric, closest(self.metric, known), ", ".join(known),
                )  # fmt: skip
            elif latest[self.metric][1] == newest:  # else it was another evaluation that took place
                value = latest[self.metric][0]
                if math.isfinite(value) and (self.best is None or self._better(value, self.best)):
                    before = "the first" if self.best is None else f"the best so far (was {self.best:.4f})"
                    logger.info("%s = %.4f is %s", self.metric, value, before)
                    self.best, self.best_iter = value, newest
                    about = {"metric": self.metric, "value": value, "iteration": newest}
                    metadata = {**self.metadata, _BEST: json.dumps(about)}
                    save_weights(self.trainer.model, self.path, metadata=metadata)
        self.best, self.best_iter = broadcast_object((self.best, self.best_iter))

    def state_dict(self) -> dict[str, Any]:
        """Return the best result so far, and when it was found."""
        return {"best": self.best, "best_iter": self.best_iter, "looked_at": self._looked_at}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the best result."""
        self.best, self.best_iter = state["best"], state["best_iter"]
        self._looked_at = state["looked_at"]
