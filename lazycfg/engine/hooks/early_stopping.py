"""The hook that ends a training when a result has not improved for some evaluations."""

import logging
import math
from typing import Any, Literal

from lazycfg.utils import broadcast_object, is_main_process

from .base import HookBase
from .evaluation import better_mode, newest_evaluation

__all__ = ["EarlyStopping"]

logger = logging.getLogger(__name__)


class EarlyStopping(HookBase):
    """Ends the training when an evaluation result has not improved for some evaluations.

    Must come after the `EvalHook`.

    Args:
        metric: an evaluation result, e.g. ``"bbox/AP"``.
        patience: how many evaluations without improvement are borne.
        min_delta: what counts as an improvement.
        mode: whether ``"max"`` or ``"min"`` is better; None takes the smallest value of a loss (a metric with
            "loss" in its name), and the largest of others.
    """

    after_evaluation = True

    def __init__(
        self,
        metric: str,
        *,
        patience: int = 5,
        min_delta: float = 0.0,
        mode: Literal["max", "min"] | None = None,
    ) -> None:
        mode = better_mode(metric, mode)
        self.metric = metric
        self.patience = patience
        self.min_delta = min_delta
        self._sign = 1.0 if mode == "max" else -1.0
        self._best = -math.inf
        self._without = 0
        self._looked_at = -1

    def after_step(self) -> None:
        """Stop the training when the metric has not improved for too many evaluations.

        Raises:
            KeyError: the metric is not among those recorded.
        """
        last = newest_evaluation(self.trainer.hooks)
        if last <= self._looked_at:
            return
        self._looked_at = last
        if is_main_process():
            latest = self.trainer.storage.latest()
            if self.metric not in latest:
                raise KeyError(f"early stopping watches {self.metric!r}; recorded are {sorted(latest)}")
            value, iteration = latest[self.metric]
            if iteration == last:  # else it was another evaluation that took place
                improved = self._sign * value > self._best + self.min_delta
                self._best = self._sign * value if improved else self._best
                self._without = 0 if improved else self._without + 1
        self._best, self._without = broadcast_object((self._best, self._without))
        if self._without > self.patience:
            logger.info(
                "stopping: %s did not improve on %.4f in %d evaluations",
                self.metric, self._sign * self._best, self._without,
            )  # fmt: skip
            self.trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """Return the best result, and how many evaluations were no better."""
        return {"best": self._best, "without": self._without, "looked_at": self._looked_at}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the best result and the count."""
        self._best, self._without = state["best"], state["without"]
        self._looked_at = state["looked_at"]
