"""`HookBase`, the base class of hooks: when they are called in a training, and what state they keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..trainer import Trainer

__all__ = ["HookBase"]


class HookBase:
    """Base of hooks: code that runs around the steps of a training. Override the methods you need.

    The order of calls is ``before_train``, then for every iteration ``before_step``, ``after_backward``,
    ``after_step``, then ``after_train``, which is called after an error too (see ``trainer.finished``). Every
    process runs the same hooks; one that writes files or logs does so in the main process only.
    """

    after_evaluation = False
    """Whether `lazycfg.engine.train` puts a hook of ``train.hooks`` after the evaluation, whose results it
    needs, instead of before the checkpointer, which then saves what it has done."""

    trainer: Trainer
    """Set by the trainer that the hook is registered with."""

    def before_train(self) -> None:
        """Run once, before the first step."""

    def after_train(self) -> None:
        """Run once, after the last step."""

    def before_step(self) -> None:
        """Run before every step."""

    def after_backward(self) -> None:
        """Run when the gradients are complete (and unscaled), before they are clipped and used."""

    def after_step(self) -> None:
        """Run after every step."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs: tensors and plain values."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""

    def is_due(self, period: int) -> bool:
        """Return whether the iteration just done ends a period; never for a period of 0."""
        return period > 0 and (self.trainer.iter + 1) % period == 0
