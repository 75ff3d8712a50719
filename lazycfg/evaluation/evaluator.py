"""What an evaluator is, and the loop that feeds one."""

from __future__ import annotations

import copy
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lazycfg.utils import all_gather, is_main_process

__all__ = [
    "DatasetEvaluator",
    "DatasetEvaluators",
    "EvaluationInterrupted",
    "WritingEvaluator",
    "inference_context",
    "inference_on_dataset",
]

logger = logging.getLogger(__name__)

Results = dict[str, Any]
"""From a task ("bbox") to its metrics by name."""
ImageQuality = dict[Any, float]
"""From the id of an image to a number, the better the higher."""

Progress = Callable[[int, int | None, float | None], None]
"""Called with the batches done, their number in all and the seconds left, where these are known."""

_LOG_SECONDS = 10.0


class DatasetEvaluator:
    """Base of evaluators: collects a model's outputs image by image, and computes metrics in the end.

    `inference_on_dataset` calls `reset`, then `process` for every batch, then `evaluate`. `process` is called
    from one thread only, though not the main one: what it does happens while the model works at the next
    batch.
    """

    def reset(self) -> None:
        """Forget everything; a new evaluation begins."""

    def process(self, inputs: Sequence[dict[str, Any]], outputs: Sequence[Any]) -> None:
        """Take in one batch.

        Args:
            inputs: what the model was given, one dict per image ("image_id", "height", "width"...).
            outputs: what it answered, one for each input.
        """

    def evaluate(self) -> Results | None:
        """Return the results on the main process; None or {} elsewhere."""

    def details(self) -> tuple[Results, ImageQuality]:
        """Return more of the last `evaluate`, for a report; on the main process only, and once.

        Returns:
            from a task to what there is of "per_class" (a list of dicts), "curves", "confusion", "errors" and
            the other entries that `lazycfg.evaluation.details` gives; and how good each image is, by its id.
        """
        return {}, {}

    def try_out(self, inputs: Sequence[dict[str, Any]], outputs: Sequence[Any]) -> Results | None:
        """Take in a batch as `process` does and forget it again, to see before a training whether that works.

        Nothing is written, and nothing exchanged between processes. An evaluator that builds the truth of its
        data set does so here too.

        Returns:
            the results of this batch, of which only the names mean anything; None where they are not known.

        Raises:
            Exception: whatever is wrong with the data set or the batch.
        """
        self.reset()
        self.process(inputs, outputs)
        self.reset()
        return None


class WritingEvaluator(DatasetEvaluator):
    """An evaluator that writes predictions to files while it takes in batches.

    Args:
        output_dir: the folder of the files, made when it is needed; None writes none.
    """

    def __init__(self, output_dir: str | os.PathLike[str] | None) -> None:
        self.output_dir = None if output_dir is None else Path(output_dir)

    def file(self, name: str) -> Path | None:
        """Return the path of a file in `output_dir`, whose folder is made; None where none is written."""
        if self.output_dir is None:
            return None
        path = self.output_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def try_out(self, inputs: Sequence[dict[str, Any]], outputs: Sequence[Any]) -> Results | None:
        """Evaluate a batch without writing files."""
        trial = copy.copy(self)
        trial.output_dir = None
        return DatasetEvaluator.try_out(trial, inputs, outputs)


class DatasetEvaluators(DatasetEvaluator):
    """Several evaluators as one; their results must be of different tasks."""

    def __init__(self, evaluators: Iterable[DatasetEvaluator]) -> None:
        self.evaluators = list(evaluators)

    def reset(self) -> None:
        """Reset all evaluators."""
        for evaluator in self.evaluators:
            evaluator.reset()

    def process(self, inputs: Sequence[dict[str, Any]], outputs: Sequence[Any]) -> None:
        """Let all evaluators take in a batch."""
        for evaluator in self.evaluators:
            evaluator.process(inputs, outputs)

    def evaluate(self) -> Results:
        """Return the results of all evaluators in one dict; raise if two report the same task."""
        results: Results = {}
        for evaluator in self.evaluators:
            for task, metrics in (evaluator.evaluate() or {}).items():
                if task in results:
                    raise ValueError(
                        f"two evaluators report results of {task!r}; one is {type(evaluator).__name__}"
                    )
                results[task] = metrics
        return results

    def details(self) -> tuple[Results, ImageQuality]:
        """Return the details of all evaluators; how good images are is what the first says that knows it."""
        found: Results = {}
        quality: ImageQuality = {}
        for evaluator in self.evaluators:
            more, images = evaluator.details()
            found |= more
            quality = quality or images
        return found, quality


class EvaluationInterrupted(Exception):
    """Raised if an evaluation is asked to stop before its end, in this process or another.

    Attributes:
        reason: what `should_stop` answered, such as the number of a signal.
    """

    def __init__(self, reason: Any) -> None:
        super().__init__(f"the evaluation was interrupted ({reason})")
        self.reason = reason


@contextmanager
def inference_context(model: nn.Module) -> Iterator[None]:
    """Switch to evaluation mode without gradients; afterwards, restore the mode of every module."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module in training:
            module.training = True


def inference_on_dataset(
    model: Callable[[Any], Any],
    data_loader: Iterable[Sequence[dict[str, Any]]],
    evaluator: DatasetEvaluator | Sequence[DatasetEvaluator] | None,
    *,
    autocast: torch.dtype | None = None,
    should_stop: Callable[[], Any] | None = None,
    progress: Progress | None = None,
) -> Results:
    """Run a model over a loader and evaluate what it says.

    The evaluator works in a thread of its own beside the model, a few batches behind at most, and the device
    is never waited for here: an evaluator that copies results to the host waits for them in its thread.

    Args:
        model: called with each batch; a module is put into evaluation mode meanwhile.
        data_loader: batches, each a list of input dicts. Iterated once.
        evaluator: one, several, or None to only run the model.
        autocast: run the model under autocast with this dtype (``torch.bfloat16``), on the device of its
            parameters.
        should_stop: asked after each batch; a true answer ends the evaluation in all processes, each of which
            must give such a function.
        progress: called after each batch with the batches done, their number in all (None where the loader
            does not say) and the seconds left (None where that is not known); by default the log says so from
            time to time.

    Returns:
        what the evaluator says; {} where it says nothing (all processes but the main one).

    Raises:
        EvaluationInterrupted: `should_stop` gave a true answer in any process.
    """
    if evaluator is None or isinstance(evaluator, Sequence):
        evaluator = DatasetEvaluators(evaluator or ())
    evaluator.reset()
    if isinstance(model, nn.Module):
        with inference_context(model):
            device = next((p.device.type for p in model.parameters()), "cpu")
            with torch.autocast(device, dtype=autocast, enabled=autocast is not None):
                reason = _run(model, data_loader, evaluator, should_stop, progress)
    else:
        with torch.inference_mode():
            reason = _run(model, data_loader, evaluator, should_stop, progress)
    if should_stop is not None and (reasons := [each for each in all_gather(reason) if each]):
        raise EvaluationInterrupted(max(reasons))
    return _results(evaluator)


def _results(evaluator: DatasetEvaluator) -> Results:
    """Return what an evaluator says, and warn where it says nothing.

    Raises:
        TypeError: it is no dict.
    """
    results = evaluator.evaluate()
    name = f"{type(evaluator).__name__}.evaluate"
    if results is None and is_main_process():
        logger.warning("%s returned None, so there are no results: does it end in `return`?", name)
    if not isinstance(results, Mapping | None):
        raise TypeError(f"{name} must return a dict of results by task, got {type(results).__name__}")
    return dict(results or {})


def _run(
    model: Callable[[Any], Any],
    loader: Iterable[Any],
    evaluator: DatasetEvaluator,
    should_stop: Callable[[], Any] | None,
    tell: Progress | None,
) -> Any:
    """Run a model over a loader; return the answer of `should_stop` that ended it, None at the end."""
    progress = _Progress(loader, tell)
    waiting: deque[Future[None]] = deque()

    def process(inputs: Any, outputs: Any) -> None:
        with torch.inference_mode():  # the mode belongs to a thread
            evaluator.process(inputs, outputs)

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="evaluator") as pool:
        try:
            for inputs in loader:
                outputs = model(inputs)
                waiting.append(pool.submit(process, inputs, outputs))
                while len(waiting) > 3 or (waiting and waiting[0].done()):
                    waiting.popleft().result()
                progress.step(len(inputs))
                if should_stop is not None and (reason := should_stop()):
                    _cancel(waiting)
                    return reason
            for future in waiting:
                future.result()
        except BaseException as error:
            _cancel(waiting)
            # The signal that asks to stop may have ended the workers of the loader as well
            is_worker = isinstance(error, RuntimeError) and "DataLoader worker" in str(error)
            if is_worker and should_stop is not None and (reason := should_stop()):
                return reason
            raise
    progress.finish()
    return None


def _cancel(futures: Iterable[Future[None]]) -> None:
    for future in futures:
        future.cancel()


class _Progress:
    """Log lines with the time an image takes and the time that is left, some seconds apart; or calls of
    ``tell`` in their place.
    """

    def __init__(self, loader: Any, tell: Progress | None) -> None:
        self._tell = tell
        try:
            self.batches: int | None = len(loader)
        except TypeError:
            self.batches = None
        self.done = self.images = 0
        self.start = self.last_log = time.perf_counter()
        total = "" if self.batches is None else f" {self.batches} batches"
        self._log(f"Inference on{total or ' a stream of batches'}")

    def step(self, images: int) -> None:
        """Count images, and log how far it is from time to time."""
        self.done += 1
        self.images += images
        now = time.perf_counter()
        if self.done == 1:
            self.start_warm, self.images_warm = (
                now,
                self.images,
            )  # the first batch sets up kernels and workers
        if self._tell is None and now - self.last_log < _LOG_SECONDS:
            return
        self.last_log = now
        since = now - (self.start_warm if self.done > 1 else self.start)
        batches, images = (
            (self.done - 1, self.images - self.images_warm) if self.done > 1 else (1, self.images)
        )
        left = (self.batches - self.done) * since / batches if self.batches else None
        if self._tell is not None:
            self._tell(self.done, self.batches, left if self.done > 1 else None)
            return
        text = f"Inference: {self.done}/{self.batches or '?'} batches, {since / max(images, 1):.3f} s/image"
        self._log(text if left is None else f"{text}, ETA {_clock(left)}")

    def finish(self) -> None:
        """Log the number of images and the time."""
        seconds = time.perf_counter() - self.start
        each = seconds / max(self.images, 1)
        self._log(
            f"Inference done: {self.images} images in {_clock(seconds)} ({each:.3f} s/image per process)"
        )

    def _log(self, text: str) -> None:
        if is_main_process():
            logger.info(text)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
