"""A hook made of functions, for what is too small for a class."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .base import HookBase

if TYPE_CHECKING:
    from ..trainer import Trainer

__all__ = ["CallbackHook"]


class CallbackHook(HookBase):
    """Calls the given functions, each with the trainer.

    Args:
        before_train, after_train, before_step, after_backward, after_step: see `HookBase`.
    """

    def __init__(
        self,
        *,
        before_train: Callable[[Trainer], object] | None = None,
        after_train: Callable[[Trainer], object] | None = None,
        before_step: Callable[[Trainer], object] | None = None,
        after_backward: Callable[[Trainer], object] | None = None,
        after_step: Callable[[Trainer], object] | None = None,
    ) -> None:
        self._before_train = before_train
        self._after_train = after_train
        self._before_step = before_step
        self._after_backward = after_backward
        self._after_step = after_step

    def before_train(self) -> None:
        """Call the function that was given for this moment, if any."""
        if self._before_train:
            self._before_train(self.trainer)

    def after_train(self) -> None:
        """Call the function that was given for this moment, if any."""
        if self._after_train:
            self._after_train(self.trainer)

    def before_step(self) -> None:
        """Call the function that was given for this moment, if any."""
        if self._before_step:
            self._before_step(self.trainer)

    def after_backward(self) -> None:
        """Call the function that was given for this moment, if any."""
        if self._after_backward:
            self._after_backward(self.trainer)

    def after_step(self) -> None:
        """Call the function that was given for this moment, if any."""
        if self._after_step:
            self._after_step(self.trainer)
