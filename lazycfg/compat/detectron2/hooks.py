"""``detectron2.engine.hooks``, for the trainers of this package."""

from __future__ import annotations

import logging
import math
import operator
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from lazycfg.engine import CallbackHook as _OurCallbackHook
from lazycfg.engine import TorchMemoryStats as _OurMemoryStats
from lazycfg.engine.hooks import flatten_results, update_bn_stats
from lazycfg.solver import LRMultiplier
from lazycfg.utils import is_main_process, synchronize

from .checkpoint import PeriodicCheckpointer as _Periodic
from .trainers import HookBase

__all__ = [
    "AutogradProfiler",
    "BestCheckpointer",
    "CallbackHook",
    "EvalHook",
    "IterationTimer",
    "LRScheduler",
    "PeriodicCheckpointer",
    "PeriodicWriter",
    "PreciseBN",
    "TorchMemoryStats",
    "TorchProfiler",
]

logger = logging.getLogger(__name__)


class CallbackHook(_OurCallbackHook):
    """Calls functions of the trainer, and lets go of them at the end of the training."""

    def after_train(self) -> None:
        """Call the function for it, and let go of all."""
        super().after_train()
        self._before_train = self._after_train = self._before_step = self._after_step = None


class IterationTimer(HookBase):
    """Records the seconds of each step as "time", and says at the end how long all took.

    Args:
        warmup_iter: steps at the beginning that do not count.
    """

    def __init__(self, warmup_iter: int = 3) -> None:
        self._warmup_iter = warmup_iter
        self._start = self._step_start = time.perf_counter()
        self._seconds = 0.0

    def before_train(self) -> None:
        """Begin to count."""
        self._start = time.perf_counter()
        self._seconds = 0.0

    def before_step(self) -> None:
        """Note the time."""
        self._step_start = time.perf_counter()

    def after_step(self) -> None:
        """Record the time of the step."""
        if self.trainer.iter - self.trainer.start_iter + 1 >= self._warmup_iter:
            seconds = time.perf_counter() - self._step_start
            self._seconds += seconds
            self.trainer.storage.put_scalars(time=seconds)
        else:
            self._start = time.perf_counter()

    def after_train(self) -> None:
        """Log the time of all steps, and of what was done between them."""
        total = time.perf_counter() - self._start
        count = self.trainer.iter - self.trainer.start_iter - self._warmup_iter
        if count > 0:
            logger.info("Overall training speed: %d iterations, %.4f s / it", count, self._seconds / count)
        logger.info("Total training time: %.0f s (%.0f s on hooks)", total, total - self._seconds)


class PeriodicWriter(HookBase):
    """Lets writers write every `period` steps and at the end."""

    def __init__(self, writers: Any, period: int = 20) -> None:
        self._writers = list(writers)
        self._period = period

    def before_train(self) -> None:
        """Tell the writers of the training."""
        for writer in self._writers:
            if hasattr(writer, "start"):
                writer.start(self.trainer.storage, self.trainer.start_iter, self.trainer.max_iter)

    def after_step(self) -> None:
        """Write where a period ends."""
        if (self.trainer.iter + 1) % self._period == 0 or self.trainer.iter == self.trainer.max_iter - 1:
            for writer in self._writers:
                writer.write()

    def after_train(self) -> None:
        """Write and close."""
        for writer in self._writers:
            writer.write()
            writer.close()


class PeriodicCheckpointer(_Periodic, HookBase):
    """`checkpoint.PeriodicCheckpointer` as a hook."""

    def before_train(self) -> None:
        """Note the end of the training."""
        self.max_iter = self.trainer.max_iter

    def after_step(self) -> None:
        """Save where a period ends."""
        self.step(self.trainer.iter)


class BestCheckpointer(HookBase):
    """Keeps the checkpoint with the best value of a metric; comes after the `EvalHook`."""

    def __init__(
        self,
        eval_period: int,
        checkpointer: Any,
        val_metric: str,
        mode: str = "max",
        file_prefix: str = "model_best",
    ) -> None:
        if mode not in ("max", "min"):
            raise AssertionError(
                f"mode {mode!r} to BestCheckpointer is unknown: it should be one of max, min"
            )
        self._period, self._checkpointer, self._val_metric = eval_period, checkpointer, val_metric
        self._file_prefix = file_prefix
        self._better = operator.gt if mode == "max" else operator.lt
        self.best_metric: float | None = None
        self.best_iter: int | None = None

    def _best_checking(self) -> None:
        latest = self.trainer.storage.latest().get(self._val_metric)
        if latest is None:
            logger.warning("no metric %r was found to choose the best checkpoint by", self._val_metric)
            return
        value, iteration = latest
        if math.isfinite(value) and (self.best_metric is None or self._better(value, self.best_metric)):
            self.best_metric, self.best_iter = value, iteration
            self._checkpointer.save(self._file_prefix, iteration=iteration)
            logger.info("saved best model as %s = %.5f", self._val_metric, value)

    def after_step(self) -> None:
        """Look at the metric where a period ends."""
        if self.is_due(self._period) and self.trainer.iter + 1 != self.trainer.max_iter:
            self._best_checking()

    def after_train(self) -> None:
        """Look at the metric at the end."""
        if self.trainer.iter + 1 >= self.trainer.max_iter:
            self._best_checking()


class LRScheduler(HookBase):
    """Steps a schedule after each step, and records the rate as "lr".

    Args:
        optimizer, scheduler: None: those of the trainer. The scheduler is one of PyTorch, or a schedule over
            the share of training done, as lazy configs have it in ``lr_multiplier``.
    """

    def __init__(self, optimizer: Any = None, scheduler: Any = None) -> None:
        self._optimizer, self._scheduler = optimizer, scheduler

    @property
    def scheduler(self) -> Any:
        """Return the schedule."""
        return self._scheduler or self.trainer.scheduler  # type: ignore[attr-defined]

    def before_train(self) -> None:
        """Choose the group of parameters whose rate is recorded: the largest of the commonest rate."""
        self._optimizer = self._optimizer or self.trainer.optimizer
        if not hasattr(self.scheduler, "step"):
            self._scheduler = LRMultiplier(
                self._optimizer, self.scheduler, self.trainer.max_iter, last_iter=self.trainer.iter - 1
            )
        self._group = self.get_best_param_group_id(self._optimizer)

    @staticmethod
    def get_best_param_group_id(optimizer: Any) -> int:
        """Return the group that stands for all."""
        groups = optimizer.param_groups
        largest = max(len(group["params"]) for group in groups)
        if largest == 1:
            rate = Counter(group["lr"] for group in groups).most_common()[0][0]
            return next(i for i, group in enumerate(groups) if group["lr"] == rate)
        return next(i for i, group in enumerate(groups) if len(group["params"]) == largest)

    def after_step(self) -> None:
        """Record the rate and go on to the next."""
        rate = self._optimizer.param_groups[self._group]["lr"]
        self.trainer.storage.put_scalar("lr", rate, smoothing_hint=False)
        self.scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the schedule."""
        if isinstance(self.scheduler, torch.optim.lr_scheduler.LRScheduler):
            return self.scheduler.state_dict()
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the schedule."""
        if isinstance(self.scheduler, torch.optim.lr_scheduler.LRScheduler):
            self.scheduler.load_state_dict(state)


class EvalHook(HookBase):
    """Calls a function every `eval_period` steps and at the end, and records the numbers that it returns."""

    def __init__(
        self, eval_period: int, eval_function: Callable[[], Any], eval_after_train: bool = True
    ) -> None:
        self._period, self._func, self._eval_after_train = eval_period, eval_function, eval_after_train

    def _do_eval(self) -> None:
        results = self._func()
        if results:
            if not isinstance(results, Mapping):
                raise TypeError(f"eval function must return a dict, got {results!r} instead")
            for name, value in flatten_results(results).items():
                self.trainer.storage.put_scalar(name, value, smoothing_hint=False)
        synchronize()

    def after_step(self) -> None:
        """Evaluate where a period ends, but for the last one."""
        if self.is_due(self._period) and self.trainer.iter + 1 != self.trainer.max_iter:
            self._do_eval()

    def after_train(self) -> None:
        """Evaluate at the end of a training that came to its end."""
        if self._eval_after_train and self.trainer.iter + 1 >= self.trainer.max_iter:
            self._do_eval()
        del self._func  # it may hold the trainer


class PreciseBN(HookBase):
    """Computes the statistics of batch normalisation over `num_iter` batches, before an evaluation."""

    def __init__(self, period: int, model: Any, data_loader: Any, num_iter: int) -> None:
        self._period, self._model, self._num_iter = period, model, num_iter
        self._data_loader, self._data_iter = data_loader, None

    def after_step(self) -> None:
        """Compute where a period ends, and at the end."""
        last = self.trainer.iter + 1 == self.trainer.max_iter
        if last or self.is_due(self._period):
            self.update_stats()

    def update_stats(self) -> None:
        """Compute the statistics now."""
        update_bn_stats(self._model, self._data_loader, self._num_iter)


class TorchMemoryStats(_OurMemoryStats):
    """Logs the memory of the GPU every `period` steps."""


class TorchProfiler(HookBase):
    """Runs torch's profiler in the steps for which a function of the trainer says so.

    Args:
        output_dir: where the traces go.
        save_tensorboard: has no effect: traces have the form that browsers and TensorBoard read.
    """

    def __init__(
        self,
        enable_predicate: Callable[[Any], bool],
        output_dir: str,
        *,
        activities: Any = None,
        save_tensorboard: bool = True,
    ) -> None:
        self._enable_predicate, self._output_dir, self._activities = enable_predicate, output_dir, activities
        self._profiler: Any = None

    def before_step(self) -> None:
        """Start the profiler, if it is wanted."""
        if self._enable_predicate(self.trainer):
            self._profiler = torch.profiler.profile(activities=self._activities, record_shapes=True)
            self._profiler.__enter__()

    def after_step(self) -> None:
        """Stop it, and write the trace."""
        if self._profiler is None:
            return
        self._profiler.__exit__(None, None, None)
        if is_main_process():
            folder = Path(self._output_dir)
            folder.mkdir(parents=True, exist_ok=True)
            self._profiler.export_chrome_trace(str(folder / f"profiler-trace-iter{self.trainer.iter}.json"))
        self._profiler = None


class AutogradProfiler(TorchProfiler):
    """`TorchProfiler` by its older name."""

    def __init__(
        self, enable_predicate: Callable[[Any], bool], output_dir: str, *, use_cuda: bool = True
    ) -> None:
        activities = None if use_cuda else [torch.profiler.ProfilerActivity.CPU]
        super().__init__(enable_predicate, output_dir, activities=activities)
