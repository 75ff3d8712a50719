"""The hook that measures how long iterations take, and tells so after the first one and at the end."""

import datetime
import logging
import time

from .base import HookBase

__all__ = ["IterationTimer"]

logger = logging.getLogger(__name__)


class IterationTimer(HookBase):
    """Records the seconds of every iteration, and logs the speed of the training at its end.

    Until a log period has ended no losses are read from the device and nothing is heard of a training: the
    time of its first step is a sign of life.

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
        if self.trainer.iter == self.trainer.start_iter:
            self._tell_first(seconds)
        if self.trainer.iter - self.trainer.start_iter >= self._warmup_iter:
            self._in_steps += seconds
            self._counted += 1
            self.trainer.storage.put_scalar("time", seconds)

    def _tell_first(self, seconds: float) -> None:
        first, period = self.trainer.iter, self.trainer.log_period
        heard = min((first // period + 1) * period, self.trainer.max_iter) - 1
        if heard > first:
            logger.info(
                "the first step of this start, iteration %d, took %.1f s; losses are logged from "
                "iteration %d on",
                first, seconds, heard,
                extra={"in_bar": True},
            )  # fmt: skip

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
