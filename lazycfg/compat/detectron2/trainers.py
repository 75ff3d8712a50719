"""``TrainerBase`` and the trainers of one step, around `lazycfg.engine.Trainer`."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from lazycfg.engine import HookBase as HookBase
from lazycfg.engine import Trainer

from .events import EventStorage, get_event_storage

__all__ = ["AMPTrainer", "HookBase", "SimpleTrainer", "TrainerBase"]

logger = logging.getLogger(__name__)


class TrainerBase:
    """The loop and its hooks; a subclass has `run_step`.

    Attributes:
        iter, start_iter, max_iter: the iteration, the first, and one more than the last.
        storage: an `EventStorage`, during training.
    """

    def __init__(self) -> None:
        self._hooks: list[HookBase] = []
        self.iter = 0
        self.start_iter = 0
        self.max_iter = 0
        self.storage: Any = None

    def register_hooks(self, hooks: Any) -> None:
        """Append hooks; None among them are left out.

        Raises:
            TypeError: one is no `HookBase`.
        """
        for hook in hooks or ():
            if hook is None:
                continue
            if not isinstance(hook, HookBase):
                raise TypeError(f"a hook must be a HookBase, got {type(hook).__name__}")
            hook.trainer = weakref.proxy(self)
            self._hooks.append(hook)

    def train(self, start_iter: int, max_iter: int) -> Any:
        """Train from an iteration up to, not including, another one."""
        logger.info("Starting training from iteration %d", start_iter)
        self.iter = self.start_iter = start_iter
        self.max_iter = max_iter
        with EventStorage(start_iter) as self.storage:
            try:
                self.before_train()
                for self.iter in range(start_iter, max_iter):
                    self.before_step()
                    self.run_step()
                    self.after_step()
                # after_train knows by it that the training came to its end
                self.iter += 1
            except Exception:
                logger.exception("Exception during training:")
                raise
            finally:
                self.after_train()

    def before_train(self) -> None:
        """Call the hooks before the first step."""
        for hook in self._hooks:
            hook.before_train()

    def after_train(self) -> None:
        """Call the hooks after the last step."""
        self.storage.iter = self.iter
        for hook in self._hooks:
            hook.after_train()

    def before_step(self) -> None:
        """Call the hooks before a step."""
        self.storage.iter = self.iter
        for hook in self._hooks:
            hook.before_step()

    def after_backward(self) -> None:
        """Call the hooks when the gradients are complete."""
        for hook in self._hooks:
            hook.after_backward()

    def after_step(self) -> None:
        """Call the hooks after a step."""
        for hook in self._hooks:
            hook.after_step()

    def run_step(self) -> None:
        """Take a step.

        Raises:
            NotImplementedError: a subclass has to do this.
        """
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """Return the iteration and the states of the hooks."""
        hooks = {type(h).__qualname__: state for h in self._hooks if (state := h.state_dict())}
        return {"iteration": self.iter, "hooks": hooks}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the iteration and the hooks."""
        self.iter = state_dict["iteration"]
        for key, value in state_dict.get("hooks", {}).items():
            for hook in self._hooks:
                if type(hook).__qualname__ == key:
                    hook.load_state_dict(value)
                    break
            else:
                logger.warning("cannot find the hook %r, its state_dict is ignored", key)


class AfterBackward(HookBase):
    """Passes the moment when the gradients are complete on to the hooks of an old trainer."""

    def __init__(self, owner: TrainerBase) -> None:
        self._owner = weakref.ref(owner)

    def after_backward(self) -> None:
        """Call the hooks of the trainer."""
        owner = self._owner()
        if owner is not None:
            owner.after_backward()


class SimpleTrainer(TrainerBase):
    """Gradient descent on what a model returns for batches of a loader.

    Args:
        data_loader: gives batches; endless, or long enough.
        gather_metric_period: steps between two readings of the losses, which are then checked for NaN.
        zero_grad_before_forward, async_write_metrics: have no effect on what is trained or written.
    """

    def __init__(
        self,
        model: nn.Module,
        data_loader: Any,
        optimizer: torch.optim.Optimizer,
        gather_metric_period: int = 1,
        zero_grad_before_forward: bool = False,
        async_write_metrics: bool = False,
        *,
        amp_dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        model.train()
        self.model = model
        self.data_loader = data_loader
        self.optimizer = optimizer
        self.gather_metric_period = gather_metric_period
        self._iterator: Iterator[Any] | None = None
        self._engine = Trainer(
            model=model,
            data=_Batches(self),
            optimizer=optimizer,
            max_iter=0,
            amp_dtype=amp_dtype,
            log_period=gather_metric_period,
            hooks=[AfterBackward(self)],
        )

    @property
    def _data_loader_iter(self) -> Iterator[Any]:
        if self._iterator is None:
            self._iterator = iter(self.data_loader)
        return self._iterator

    def reset_data_loader(self, data_loader_builder: Any) -> None:
        """Take another loader, which a function builds, from the next step on."""
        self._iterator = None
        self.data_loader = data_loader_builder()

    def run_step(self) -> None:
        """Take a step on the next batch.

        Raises:
            FloatingPointError: a loss is not finite; names the loss and the images.
        """
        if not self.model.training:
            raise AssertionError(f"[{type(self).__name__}] model was changed to eval mode!")
        engine = self._engine
        engine.model, engine.optimizer = self.model, self.optimizer
        engine.storage, engine.iter = get_event_storage(), self.iter
        engine.run_step()
        if (self.iter + 1) % self.gather_metric_period == 0:
            engine.collect()

    def _write_metrics(self, loss_dict: Mapping[str, Any], data_time: float, prefix: str = "") -> None:
        """Record losses and the time that data took.

        Raises:
            FloatingPointError: the sum of the losses is not finite.
        """
        values = {k: float(v.detach() if isinstance(v, torch.Tensor) else v) for k, v in loss_dict.items()}
        total = sum(values.values())
        if not np.isfinite(total):
            raise FloatingPointError(
                f"Loss became infinite or NaN at iteration={self.iter}!\nloss_dict = {values}"
            )
        storage = get_event_storage()
        storage.put_scalar("data_time", data_time)
        storage.put_scalar(f"{prefix}total_loss", total)
        if len(values) > 1:
            storage.put_scalars(**values)

    def state_dict(self) -> dict[str, Any]:
        """Return the iteration, and the states of hooks and optimizer."""
        return {**super().state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore them."""
        super().load_state_dict(state_dict)
        self.optimizer.load_state_dict(state_dict["optimizer"])


class _Batches:
    """The batches of a trainer's loader, which may be replaced."""

    def __init__(self, trainer: SimpleTrainer) -> None:
        self._trainer = weakref.ref(trainer)

    def __iter__(self) -> _Batches:
        return self

    def __next__(self) -> Any:
        trainer = self._trainer()
        assert trainer is not None
        return next(trainer._data_loader_iter)


class AMPTrainer(SimpleTrainer):
    """`SimpleTrainer` in mixed precision.

    Args:
        grad_scaler: scales the losses; None: one for float16 on a GPU.
        precision: torch.float16 or torch.bfloat16.
    """

    def __init__(
        self,
        model: nn.Module,
        data_loader: Any,
        optimizer: torch.optim.Optimizer,
        gather_metric_period: int = 1,
        zero_grad_before_forward: bool = False,
        grad_scaler: Any = None,
        precision: torch.dtype = torch.float16,
        log_grad_scaler: bool = False,
        async_write_metrics: bool = False,
    ) -> None:
        super().__init__(model, data_loader, optimizer, gather_metric_period, amp_dtype=precision)
        if grad_scaler is not None:
            self._engine.grad_scaler = grad_scaler
        self.precision = precision
        self.log_grad_scaler = log_grad_scaler

    @property
    def grad_scaler(self) -> Any:
        """Return what scales the losses."""
        return self._engine.grad_scaler

    def run_step(self) -> None:
        """Take a step on the next batch."""
        super().run_step()
        if self.log_grad_scaler:
            get_event_storage().put_scalar("[metric]grad_scaler", self.grad_scaler.get_scale())

    def state_dict(self) -> dict[str, Any]:
        """Return the states of `SimpleTrainer` and of the scaling."""
        return {**super().state_dict(), "grad_scaler": self.grad_scaler.state_dict()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore them.

        Raises:
            ValueError: the state is of a run without mixed precision.
        """
        if "grad_scaler" not in state_dict:
            raise ValueError(
                "the checkpoint is of a run without mixed precision and has no state of its scaling: resume "
                "without it (SOLVER.AMP.ENABLED False, train.amp.enabled=False), or start a new run from "
                "these weights, without --resume and in another folder"
            )
        super().load_state_dict(state_dict)
        self.grad_scaler.load_state_dict(state_dict["grad_scaler"])
