"""The training loop."""

import logging
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from lazycfg.utils import EventStorage, all_gather, get_world_size

from .hooks.base import HookBase
from .interruption import Interruption, exception_of
from .non_finite import FiniteCheck

__all__ = ["Trainer"]

logger = logging.getLogger(__name__)

# Of these the slowest process is what matters; of all else the mean over the processes is logged.
_SLOWEST = frozenset({"data_time"})


class Trainer:
    """Trains a model: gradient descent on the losses that it returns, with hooks around every step.

    The step reads nothing from the device: losses are collected there and fetched every ``log_period``.

    Args:
        model: in training mode it maps a batch to a dict of scalar losses (or to one scalar loss). It may be
            wrapped for several processes.
        data: an endless iterator of batches, such as a `BatchStream`.
        optimizer: over the model's parameters.
        max_iter: number of optimizer steps.
        amp_dtype: run the model under ``torch.autocast`` with this type; None for full precision.
        clip_grad: called with the parameters between backward and the optimizer's step.
        accumulate: batches whose gradients are averaged in one optimizer step.
        log_period: steps between two readings of the losses.
        check_batch: called with each batch before the model gets it; raises where it cannot be used.
        hooks: see `HookBase`; called in this order.

    Attributes:
        model, data, optimizer, max_iter, log_period: as given.
        iter: the number of the current step, from 0; after the training that of the last one.
        start_iter: the number of the first step of this start; above 0 in a run that goes on.
        storage: the `EventStorage` of what is logged: ``put_scalar(name, value)`` adds to it,
            ``latest()`` maps names to (value, iteration). A model gets it by
            `lazycfg.utils.get_event_storage`.
        results, should_stop, finished, images, stop_signal: see below.

    Raises:
        ValueError: counts below 1.
    """

    def __init__(
        self,
        *,
        model: nn.Module,
        data: Iterator[Any],
        optimizer: Optimizer,
        max_iter: int,
        amp_dtype: torch.dtype | None = None,
        clip_grad: Callable[[Iterable[nn.Parameter]], Tensor | None] | None = None,
        accumulate: int = 1,
        log_period: int = 20,
        check_batch: Callable[[Any], None] | None = None,
        hooks: Sequence[HookBase] = (),
    ) -> None:
        for name, value in (("accumulate", accumulate), ("log_period", log_period)):
            if value < 1:
                raise ValueError(f"{name}={value}: expected at least 1")
        self.model = model
        self.data = data
        self.optimizer = optimizer
        self.max_iter = max_iter
        self.amp_dtype = amp_dtype
        self.clip_grad = clip_grad
        self.accumulate = accumulate
        self.log_period = log_period
        self.check_batch = check_batch
        self.device = next((p.device for p in model.parameters()), torch.device("cpu"))
        # bf16 has the range of fp32; only fp16 gradients need scaling
        self.grad_scaler = torch.amp.GradScaler(
            self.device.type, enabled=amp_dtype is torch.float16 and self.device.type == "cuda"
        )
        self.iter = self.start_iter = 0
        self.images = 0
        """How many images this process has trained on since it began."""
        self.storage = EventStorage()
        self.results: dict[str, Any] = {}
        """What the last evaluation found."""
        self.should_stop = False
        """A hook may set it to end the training after this step, in every process."""
        self.finished = False
        """Whether training came to its end; false in `HookBase.after_train` after an error."""
        self.stop_signal = 0
        """The signal that ended the training before its end (SIGTERM, SIGHUP, SIGINT), else 0."""
        self.interruption = Interruption()
        """Has the signal that came and asks to stop, before the training has stopped for it."""
        self.hooks: list[HookBase] = []
        self._finite = FiniteCheck(log_period * accumulate)
        self._loss_names: set[str] = {"total_loss"}
        self._parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self.register_hooks(hooks)

    def register_hooks(self, hooks: Sequence[HookBase]) -> None:
        """Append hooks to be called after those already there.

        Raises:
            TypeError: one is no `HookBase`
        """
        for hook in hooks:
            if not isinstance(hook, HookBase):
                raise TypeError(f"a hook must be a HookBase, got {type(hook).__name__}")
            hook.trainer = self
            self.hooks.append(hook)

    def train(self, start_iter: int = 0) -> None:
        """Train from ``start_iter`` (0, or the iteration after the one a checkpoint was taken at) to the end.

        SIGTERM, SIGHUP and Ctrl-C end it after the step that is being done (in several processes at the next
        reading of the losses, in all of them): hooks are called as at the end, with ``finished`` false.

        Raises:
            FloatingPointError: a loss is not finite; names the loss, the iteration and the images.
            SystemExit: after SIGTERM or SIGHUP, with the exit code 128 and the number of the signal.
            KeyboardInterrupt: after Ctrl-C.
        """
        self.iter = self.start_iter = start_iter
        self.should_stop = self.finished = False
        self.stop_signal = 0
        self.storage.iter = start_iter
        self.model.train()
        with self.storage, self.interruption:
            try:
                self._call("before_train")
                while self.iter < self.max_iter and not self.should_stop and not self.stop_signal:
                    self.storage.iter = self.iter
                    self._call("before_step")
                    self.run_step()
                    if (self.iter + 1) % self.log_period == 0 or self.iter + 1 == self.max_iter:
                        self.collect()
                    self._call("after_step")
                    self.iter += 1
                    if get_world_size() == 1:
                        self.stop_signal = self.interruption.signal
                self.collect()
                self.finished = not self.stop_signal
            except Exception as error:
                logger.error("training stopped %s: %s", self._how_far(), type(error).__name__)
                if number := self.interruption.signal:  # to a worker of the loader too, perhaps
                    logger.warning("its step could not be ended: --resume goes on from the last checkpoint")
                    raise exception_of(number, f"stopped {self._how_far()}") from error
                raise
            finally:
                self.storage.iter = self.iter
                self._call("after_train")
        if self.stop_signal:
            name = signal.Signals(self.stop_signal).name
            logger.warning("stopped by %s %s", name, self._how_far())
            raise exception_of(self.stop_signal, f"stopped {self._how_far()}")

    def _how_far(self) -> str:
        return f"after {self.iter} of {self.max_iter} iterations"

    def run_step(self) -> None:
        """Take one optimizer step over ``accumulate`` batches."""
        self.optimizer.zero_grad(set_to_none=True)
        data_time = 0.0
        recorded: dict[str, Tensor] = {}
        for i in range(self.accumulate):
            started = time.perf_counter()
            batch = next(self.data)
            data_time += time.perf_counter() - started
            self._finite.saw(self.iter, batch)
            self.images += len(batch) if isinstance(batch, list | tuple) else 0
            if self.check_batch is not None:
                self.check_batch(batch)
            with self._gradients_stay_here(i + 1 < self.accumulate):
                with torch.autocast(self.device.type, self.amp_dtype, enabled=self.amp_dtype is not None):
                    losses = self.model(batch)
                    if isinstance(losses, Tensor):
                        losses = {"total_loss": losses}
                    total = sum_losses(losses)
                self.grad_scaler.scale(total / self.accumulate).backward()
            for name, value in {**losses, "total_loss": total}.items():
                share = value.detach() / self.accumulate
                recorded[name] = recorded[name] + share if name in recorded else share
        self._loss_names.update(recorded)
        self.storage.put_scalar("data_time", data_time)
        for name, value in recorded.items():
            self.storage.put_scalar(name, value)
        self.grad_scaler.unscale_(self.optimizer)
        self._call("after_backward")
        if self.clip_grad is not None:
            norm = self.clip_grad(self._parameters)
            if norm is not None:
                self.storage.put_scalar("grad_norm", norm)
        self.grad_scaler.step(self.optimizer)
        self.grad_scaler.update()

    def collect(self) -> None:
        """Read the pending scalars from all processes into the main process's storage, and check the losses.

        Every process must call it at the same iteration.

        Raises:
            FloatingPointError: on every process, when a loss of any of them is not finite.
        """
        records = self.storage.pop_pending()
        bad = self._finite.message(records, self._loss_names)
        if get_world_size() == 1:
            self.storage.add(records)
        else:
            gathered = all_gather((records, bad, self.interruption.signal))
            self.storage.add(_combine([each for each, _, _ in gathered]))
            bad = "; ".join(f"process {rank}: {said}" for rank, (_, said, _) in enumerate(gathered) if said)
            self.stop_signal = self.stop_signal or max(number for _, _, number in gathered)
        if bad:
            raise FloatingPointError(bad)

    def _gradients_stay_here(self, yes: bool) -> AbstractContextManager[None]:
        """While more batches are to come, DDP need not yet average gradients."""
        if yes and isinstance(self.model, nn.parallel.DistributedDataParallel):
            return self.model.no_sync()
        return nullcontext()

    def _call(self, moment: str) -> None:
        for hook in self.hooks:
            getattr(hook, moment)()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the hooks, by class name and by order among hooks of one class, and the values
        recorded last, so that medians continue.
        """
        hooks = {key: state for key, hook in self._named_hooks() if (state := hook.state_dict())}
        return {"hooks": hooks, "storage": self.storage.state_dict(max(self.log_period, 20))}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the hooks; those that the checkpoint does not know start afresh."""
        saved = dict(state["hooks"])
        self.storage.load_state_dict(state.get("storage", {}))
        for key, hook in self._named_hooks():
            if key in saved:
                hook.load_state_dict(saved.pop(key))
        if saved:
            logger.warning(
                "the checkpoint has a state of hooks that this run does not use: %s", ", ".join(saved)
            )

    def _named_hooks(self) -> list[tuple[str, HookBase]]:
        named: list[tuple[str, HookBase]] = []
        count: dict[str, int] = {}
        for hook in self.hooks:
            name = type(hook).__qualname__
            count[name] = count.get(name, 0) + 1
            named.append((name if count[name] == 1 else f"{name}.{count[name]}", hook))
        return named


def sum_losses(losses: Mapping[str, Tensor]) -> Tensor:
    """Return the sum of all losses, shape ().

    Raises:
        TypeError: the model returned something else than losses (often: it was in evaluation mode).
    """
    if not isinstance(losses, Mapping) or not losses:
        raise TypeError(
            f"in training the model must return a dict of losses, got {type(losses).__name__}"
            + (" without entries" if isinstance(losses, Mapping) else "")
        )
    for name, value in losses.items():
        if not isinstance(value, Tensor):
            raise TypeError(
                f"the loss {name!r} is a {type(value).__name__}, expected a tensor of one number (of .item() "
                "or float(...) nothing can be learned)"
            )
    values = list(losses.values())
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


def _combine(per_process: Sequence[Sequence[tuple[str, float, int]]]) -> list[tuple[str, float, int]]:
    """Mean over the processes of what they recorded, in the order of the first that recorded it."""
    values: dict[tuple[str, int, int], list[float]] = {}
    for records in per_process:
        nth: dict[tuple[str, int], int] = {}
        for name, value, iteration in records:
            nth[name, iteration] = nth.get((name, iteration), -1) + 1
            values.setdefault((name, iteration, nth[name, iteration]), []).append(value)
    return [
        (name, max(found) if name in _SLOWEST else sum(found) / len(found), iteration)
        for (name, iteration, _), found in values.items()
    ]
