"""The learning rate, step by step."""

from typing import Any

from torch.optim.lr_scheduler import LRScheduler as TorchLRScheduler

from lazycfg.solver import LRMultiplier

from .base import HookBase

__all__ = ["LRScheduler"]


class LRScheduler(HookBase):
    """Steps a torch learning-rate scheduler after every iteration and records the rate.

    Args:
        scheduler: over the trainer's optimizer, e.g. an `LRMultiplier`.
    """

    def __init__(self, scheduler: TorchLRScheduler) -> None:
        self.scheduler = scheduler

    def before_train(self) -> None:
        # The group that most parameters are in stands for all
        """Choose the group whose learning rate is recorded: that of most parameters."""
        groups = self.trainer.optimizer.param_groups
        self._shown = max(range(len(groups)), key=lambda i: sum(p.numel() for p in groups[i]["params"]))

    def after_step(self) -> None:
        """Record the learning rate and step the schedule."""
        rate = self.trainer.optimizer.param_groups[self._shown]["lr"]
        self.trainer.storage.put_scalar("lr", rate, smoothing_hint=False)
        self.scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the schedule."""
        return dict(self.scheduler.state_dict())

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state of the schedule."""
        self.scheduler.load_state_dict(state)
        groups = self.scheduler.optimizer.param_groups
        if isinstance(self.scheduler, LRMultiplier):
            # What the schedule says, which may have been changed since
            for group, rate in zip(groups, self.scheduler.get_lr(), strict=True):
                group["lr"] = rate
        else:
            # Other schedules go on from the present rates, which the optimizer has already
            self.scheduler.base_lrs = [group.get("initial_lr", group["lr"]) for group in groups]
