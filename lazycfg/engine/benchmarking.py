"""How fast a config runs on this machine: its data, its training steps, its predictions."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import torch
from torch import nn

from lazycfg.evaluation import inference_context

from .build import as_config, build_at, build_parts, read_settings
from .distributed import cudnn_benchmark, resolve_device, seed_all
from .settings import SettingsError, TrainSettings
from .trainer import Trainer

__all__ = ["TASKS", "Speed", "benchmark"]

TASKS = ("data", "train", "eval")
_BATCHES = 4  # that are kept and taken again and again where the data is not what is measured


@dataclass(frozen=True)
class Speed:
    """What was measured of one task.

    Attributes:
        task: "data": the training loader alone. "train": steps on batches that are in memory. "eval":
            predictions on test images that are in memory.
        iterations: how many were measured.
        seconds: of an iteration, the median.
        slowest: of an iteration, the largest.
        images: in an iteration, on average.
        memory: the most that PyTorch had on the GPU, in bytes; 0 on a CPU.
    """

    task: str
    iterations: int
    seconds: float
    slowest: float
    images: float
    memory: int = 0

    @property
    def images_per_second(self) -> float:
        """Return images in a second."""
        return self.images / self.seconds if self.seconds else 0.0


def benchmark(
    cfg: Mapping[str, Any],
    tasks: Sequence[str] = TASKS,
    *,
    iterations: int = 20,
    warmup: int = 3,
    tell: Callable[[Speed], Any] | None = None,
) -> list[Speed]:
    """Measure the speed of a config in this process, with its own batch sizes, workers, device and precision.

    Weights are as they are initialized: they change how many boxes are found, and so a little of the time.
    Nothing is written.

    Args:
        cfg: with ``model``, ``dataloader`` and ``train``; ``optimizer`` for "train". It is not changed.
        tasks: some of "data", "train", "eval".
        iterations: how many to measure; fewer where the test data has fewer batches.
        warmup: how many go before, unmeasured.
        tell: is given each measurement when it is done.

    Raises:
        SettingsError: an unknown task; a part that a task needs is not in the config.
        ValueError: no iterations.
    """
    if unknown := [task for task in tasks if task not in TASKS]:
        raise SettingsError(f"{unknown[0]!r} is no task of a benchmark; there are {', '.join(TASKS)}")
    if iterations < 1 or warmup < 0:
        raise ValueError(f"iterations={iterations}, warmup={warmup}: expected at least 1 and 0")
    cfg = as_config(cfg)
    settings = read_settings(cfg)
    device = resolve_device(settings.device)
    seed_all(settings.seed or 0)
    measure = _Measure(device, iterations, warmup)
    model, train_loader, test_loader, optimizer, clip_grad = _built(cfg, tasks)
    model.to(device, memory_format=_memory_format(settings))
    found = []
    with cudnn_benchmark(settings.cudnn_benchmark):
        for task in tasks:
            measure.begin()
            if task == "data":
                speed = measure.of("data", iter(train_loader), lambda batches: next(batches))
            elif task == "train":
                trainer = _trainer(model, train_loader, optimizer, clip_grad, settings)
                with trainer.storage:
                    speed = measure.of("train", trainer, _step)
            else:
                kept = cycle(_batches(test_loader))
                with inference_context(model):
                    speed = measure.of("eval", kept, lambda batches: _predict(model, next(batches)))
            found.append(speed)
            if tell is not None:
                tell(speed)
    return found


class _Measure:
    """Times iterations of whatever work."""

    def __init__(self, device: torch.device, iterations: int, warmup: int) -> None:
        self.device, self.iterations, self.warmup = device, iterations, warmup

    def begin(self) -> None:
        """Forget the memory that was used before."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)

    def of(self, task: str, work: Any, step: Callable[[Any], Any]) -> Speed:
        """Return the speed of ``step(work)``, which returns the batch that it took."""
        times, images = [], 0
        for number in range(self.warmup + self.iterations):
            self._wait()
            started = time.perf_counter()
            batch = step(work)
            self._wait()
            if number >= self.warmup:
                times.append(time.perf_counter() - started)
                images += len(batch)
        on_gpu = self.device.type == "cuda"
        memory = torch.cuda.max_memory_allocated(self.device) if on_gpu and task != "data" else 0
        median = sorted(times)[len(times) // 2]
        return Speed(task, len(times), median, max(times), images / len(times), memory)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def _built(cfg: Any, tasks: Sequence[str]) -> tuple[nn.Module, Any, Any, Any, Any]:
    """Return the model, the loaders, the optimizer and the clipping, as far as the tasks need them."""
    if "train" in tasks:
        parts = build_parts(cfg, training=True)
        if "eval" in tasks and parts.test_loader is None:
            raise SettingsError("the config has no dataloader.test, which the task 'eval' needs")
        return parts.model, parts.train_loader, parts.test_loader, parts.optimizer, parts.clip_grad
    loaders = {"data": "dataloader.train", "eval": "dataloader.test"}
    paths = ["model", *(loaders[task] for task in tasks)]
    built = build_at(cfg, paths)
    for path, value in built.items():
        if value is None:
            raise SettingsError(f"the config has no {path}, which this benchmark needs")
    return built["model"], built.get(loaders["data"]), built.get(loaders["eval"]), None, None


def _memory_format(settings: TrainSettings) -> torch.memory_format:
    return torch.channels_last if settings.channels_last else torch.preserve_format


def _batches(loader: Any) -> list[Any]:
    kept = list(islice(loader, _BATCHES))
    if not kept:
        raise SettingsError("the data loader gives no batches")
    return kept


def _trainer(
    model: nn.Module, loader: Any, optimizer: Any, clip_grad: Any, settings: TrainSettings
) -> Trainer:
    return Trainer(
        model=model.train(),
        data=cycle(_batches(loader)),
        optimizer=optimizer,
        max_iter=2**31,
        amp_dtype=settings.amp.autocast_dtype(),
        clip_grad=clip_grad,
        accumulate=settings.accumulate,
        log_period=settings.log_period,
    )


def _step(trainer: Trainer) -> range:
    before = trainer.images
    trainer.storage.iter = trainer.iter
    trainer.run_step()
    if (trainer.iter + 1) % trainer.log_period == 0:
        trainer.collect()
    trainer.iter += 1
    return range(trainer.images - before)


def _predict(model: nn.Module, batch: Any) -> Any:
    model(batch)
    return batch
