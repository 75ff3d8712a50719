"""The hook that measures how long iterations take, and tells the speed at the end."""

import datetime
import logging
import time

from .base import HookBase

__all__ = ["IterationTimer"]

logger = logging.getLogger(__name__)


class IterationTimer(HookBase):
    """Records the seconds of every iteration, and logs the speed of the training at its end.

    Args:
        warmup_iter: first iterations to leave out: they allocate, compile and start workers.
    """

    def __init__(self, warmup_iter: int = 3) -> None:
        self._warmup_iter = warmup_iter
        self._started: float | None = None

    def before_train(self) -> None:
        """Start the clock."""
        self._train_started = time.perf_counter()
        self._in_steps = 0.0
        self._counted = 0

    def before_step(self) -> None:
        """Note when the step begins."""
        self._started = time.perf_counter()

    def after_step(self) -> None:
        """Record the time of the step."""
        if self._started is None:
            return
        seconds = time.perf_counter() - self._started
        if self.trainer.iter - self.trainer.start_iter >= self._warmup_iter:
            self._in_steps += seconds
            self._counted += 1
            self.trainer.storage.put_scalar("time", seconds)

    def after_train(self) -> None:
        """Log the speed of the training."""
        if self._counted == 0:
            return
        total = time.perf_counter() - self._train_started
        logger.info(
            "speed: %d iterations in %s (%.4f s each), of %s in all with hooks",
            self._counted,
            datetime.timedelta(seconds=int(self._in_steps)),
            self._in_steps / self._counted,
            datetime.timedelta(seconds=int(total)),
        )
