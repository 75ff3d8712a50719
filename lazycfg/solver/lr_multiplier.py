"""From a schedule of training progress to a torch learning-rate scheduler."""

from collections.abc import Callable
from typing import Any, Literal

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from .param_schedulers import WarmupPolyParamScheduler

__all__ = ["LRMultiplier", "WarmupPolyLR"]


class LRMultiplier(LRScheduler):
    """Every learning rate is its first value times ``multiplier(iteration / max_iter)``.

    Args:
        optimizer: whose learning rates are set.
        multiplier: a schedule over the share of training done, e.g. a ``WarmupParamScheduler``.
        max_iter: length of training in iterations.
        last_iter: the iteration last done; -1 at the beginning.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        multiplier: Callable[[float], float],
        max_iter: int,
        last_iter: int = -1,
    ) -> None:
        if not callable(multiplier):
            raise TypeError(f"multiplier must be a schedule (a callable of [0, 1)), got {multiplier!r}")
        self._multiplier = multiplier
        self._max_iter = max_iter
        super().__init__(optimizer, last_epoch=last_iter)

    def get_lr(self) -> list[Any]:
        """Learning rate of each group at the current iteration."""
        # The step after the last iteration asks for a rate that nothing uses
        factor = self._multiplier(min(self.last_epoch / self._max_iter, 1.0))
        return [base_lr * factor for base_lr in self.base_lrs]

    def state_dict(self) -> dict[str, Any]:
        """Return what resuming needs. The schedule itself comes from the config and may be changed in
        between.
        """
        return {"base_lrs": self.base_lrs, "last_epoch": self.last_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go to the iteration of a checkpoint. The rates are those that the optimizer was built with now."""
        self.last_epoch = state_dict["last_epoch"]


class WarmupPolyLR(LRMultiplier):
    """`LRMultiplier` of a `WarmupPolyParamScheduler`, for loops that step a scheduler of their own.

    Args:
        optimizer: whose learning rates are set.
        max_iters, warmup_iters: length of training and of the warm-up, in iterations.
        warmup_factor, warmup_method, power, constant_ending: see `WarmupPolyParamScheduler`.
        last_epoch: the iteration last done; -1 at the beginning.

    Raises:
        ValueError: the warm-up is longer than the training.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_iters: int,
        warmup_factor: float = 0.001,
        warmup_iters: int = 1000,
        warmup_method: Literal["linear", "constant"] = "linear",
        last_epoch: int = -1,
        power: float = 0.9,
        constant_ending: float = 0.0,
    ) -> None:
        if warmup_iters > max_iters:
            raise ValueError(f"warmup_iters={warmup_iters} is more than max_iters={max_iters}")
        schedule = WarmupPolyParamScheduler(
            power, warmup_factor, warmup_iters / max_iters, warmup_method, constant_ending
        )
        super().__init__(optimizer, schedule, max_iters, last_epoch)
