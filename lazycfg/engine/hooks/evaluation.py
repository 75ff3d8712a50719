"""The hook that evaluates while training, and records the results."""

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from lazycfg.evaluation import EvaluationInterrupted, to_json
from lazycfg.reporting.comparison import is_less_better
from lazycfg.utils import atomic_write, is_main_process, synchronize

from ..distributed import preserved_rng
from .base import HookBase

__all__ = [
    "EvalHook",
    "ResultsWriter",
    "better_mode",
    "flatten_results",
    "newest_evaluation",
    "write_results",
]

logger = logging.getLogger(__name__)


class EvalHook(HookBase):
    """Calls an evaluation every ``eval_period`` iterations and after training, and records its numbers.

    The random generators are given back as they were, so that evaluating more or less often trains the same
    model. A run that died while evaluating evaluates first when it is resumed.

    Args:
        eval_period: iterations between evaluations; 0 for none but the last.
        eval_function: returns a (nested) dict of numbers; called in every process, with the model in
            evaluation mode as it pleases. `EvaluationInterrupted`, raised in all processes, stops the
            training.
        eval_after_train: whether to evaluate at the end.
    """

    def __init__(
        self,
        eval_period: int,
        eval_function: Callable[[], Mapping[str, Any] | None],
        *,
        eval_after_train: bool = True,
    ) -> None:
        self.eval_period = eval_period
        self.eval_function = eval_function
        self.eval_after_train = eval_after_train
        self.last_iter = -1
        """The iteration after which the last evaluation took place."""

    def before_train(self) -> None:
        """Do an evaluation that was due when the interrupted run ended."""
        done = self.trainer.start_iter - 1
        if done > 0 and self.eval_period > 0 and (done + 1) % self.eval_period == 0 and self.last_iter < done:
            self._evaluate(done)

    def after_step(self) -> None:
        # The last one is left to after_train
        """Evaluate at the end of each period except the last one."""
        if self.is_due(self.eval_period) and self.trainer.iter + 1 != self.trainer.max_iter:
            self._evaluate(self.trainer.iter)

    def after_train(self) -> None:
        """Evaluate at the end of a training that was not interrupted."""
        if self.eval_after_train and self.trainer.finished and self.last_iter != self.trainer.iter - 1:
            self._evaluate(self.trainer.iter - 1)

    def _evaluate(self, iteration: int) -> None:
        self.trainer.collect()
        model, storage = self.trainer.model, self.trainer.storage
        before, storage.iter = storage.iter, iteration  # after the training it is one past the last
        training = {module: module.training for module in model.modules()}
        try:
            with preserved_rng():
                results = self.eval_function() or {}
        except EvaluationInterrupted as error:
            # As after a step: the trainer stops, and the checkpoint says that this evaluation is still due
            self.trainer.stop_signal = error.reason
            logger.warning("the evaluation was interrupted; a run that is resumed begins with it")
            return
        finally:
            storage.iter = before
            for module, mode in training.items():
                module.training = mode
        if not isinstance(results, Mapping):
            raise TypeError(f"eval_function must return a dict, got {type(results).__name__}")
        self.trainer.results.update(results)
        for name, value in flatten_results(results).items():
            storage.put_scalar(name, value, smoothing_hint=False, cur_iter=iteration)
        self.last_iter = iteration
        synchronize()

    def state_dict(self) -> dict[str, Any]:
        """Return the iteration of the last evaluation."""
        return {"last_iter": self.last_iter}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the iteration of the last evaluation."""
        self.last_iter = state["last_iter"]


class ResultsWriter(HookBase):
    """Writes what the evaluations found into ``results.json`` as soon as one has ended. Must come after them.

    Args:
        output_dir: folder of the file.
    """

    def __init__(self, output_dir: str | Path) -> None:
        self.output_dir = Path(output_dir)
        self._written = -1

    def before_train(self) -> None:
        """Write what an evaluation found that the run before had not ended."""
        self._write()

    def after_step(self) -> None:
        """Write the results of an evaluation that has just ended."""
        self._write()

    def after_train(self) -> None:
        """Write the results of the last evaluation."""
        self._write()

    def _write(self) -> None:
        if self.trainer.results and (newest := newest_evaluation(self.trainer.hooks)) > self._written:
            self._written = newest
            write_results(self.trainer.results, self.output_dir)


def write_results(results: Mapping[str, Any], output_dir: str | Path) -> None:
    """Write ``results.json``, whole or not at all; main process only."""
    if results and is_main_process():
        with atomic_write(Path(output_dir) / "results.json") as partial:
            partial.write_text(to_json(results, indent=1) + "\n")


def newest_evaluation(hooks: Iterable[HookBase]) -> int:
    """Return the iteration after which the last evaluation of any `EvalHook` took place, -1 before one."""
    return max((hook.last_iter for hook in hooks if isinstance(hook, EvalHook)), default=-1)


def better_mode(metric: str, mode: str | None) -> Literal["max", "min"]:
    """Return which value of a metric is better: as it is said, else the smaller one of a loss.

    Raises:
        ValueError: ``mode`` is another word.
    """
    if mode is None:
        return "min" if is_less_better(metric) else "max"
    if mode not in ("max", "min"):
        raise ValueError(f"mode {mode!r}: expected 'max' or 'min', or None to go by the name of the metric")
    return "max" if mode == "max" else "min"


def flatten_results(results: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Flatten nested results: ``{"bbox": {"AP": 1.0}}`` becomes ``{"bbox/AP": 1.0}``; what is no number is
    left out.
    """
    flat: dict[str, float] = {}
    for name, value in results.items():
        if isinstance(value, Mapping):
            flat.update(flatten_results(value, f"{prefix}{name}/"))
            continue
        try:
            flat[f"{prefix}{name}"] = float(value)
        except (TypeError, ValueError):
            continue
    return flat
