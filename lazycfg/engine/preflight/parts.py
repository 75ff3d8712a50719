"""Optimizer, schedule, clipping, hooks and evaluation of a run, looked at one by one."""

import math
from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler as TorchLRScheduler

from lazycfg.visualization.fonts import font_for

from ..build import Parts
from ..hooks.base import HookBase
from ..problems import PreflightError
from ..settings import TrainSettings
from ..trackers.base import asked_writers, make_writers
from .findings import Findings

__all__ = ["check_parts", "schedule_problem"]


def check_parts(parts: Parts, settings: TrainSettings, found: Findings) -> None:
    """Look at everything that a trainer is made of but data and model."""
    if not isinstance(parts.optimizer, Optimizer):
        kind = type(parts.optimizer).__name__
        found.add("optimizer", f"it builds a {kind}, expected a torch optimizer, such as torch.optim.SGD")
    elif not any(p.requires_grad for group in parts.optimizer.param_groups for p in group["params"]):
        found.add("optimizer", "none of its parameters is trained: all are frozen")
    elif all(group.get("lr", 1.0) == 0 for group in parts.optimizer.param_groups):
        found.remark(
            "the learning rate is 0 in every group of the optimizer (optimizer.lr): nothing is learned"
        )
    if (said := schedule_problem(parts.lr_multiplier)) is not None:
        found.add("lr_multiplier", *said)
    if parts.clip_grad is not None and not callable(parts.clip_grad):
        found.add(
            "train.clip_grad",
            f"{parts.clip_grad!r}: expected what is called with the parameters",
            "'train.clip_grad={_target_: lazycfg.solver.ClipGradNorm, max_norm: 1.0}'",
        )
    for number, hook in enumerate(parts.hooks or ()):
        if not isinstance(hook, HookBase):
            found.add(
                f"train.hooks.{number}", f"{hook!r} is no hook: expected an object of a class of HookBase"
            )
        else:
            _check_moments(number, hook, found)
    _check_evaluation(parts, settings, found)
    if settings.font is not None:
        try:
            font_for("a", 16, settings.font)
        except ValueError as error:
            found.add("train.font", str(error), "train.font=null for a font that has the letters")
    try:
        make_writers(asked_writers(parts, settings), settings.output_dir, log_period=settings.log_period)
    except PreflightError as error:
        for problem in error.problems:
            found.add(problem.where, problem.what, problem.remedy)


_MOMENTS = ("before_train", "after_train", "before_step", "after_backward", "after_step")


def _check_moments(number: int, hook: HookBase, found: Findings) -> None:
    """See whether a hook has methods that are called, and others that look as if they were."""
    cls = type(hook)
    called = any(getattr(cls, name) is not getattr(HookBase, name) or name in vars(hook) for name in _MOMENTS)
    alike = [name for name in vars(cls) if name.startswith(("before_", "after_"))]
    unknown = [name for name in alike if not hasattr(HookBase, name) and callable(getattr(cls, name))]
    where, moments = f"train.hooks.{number}", ", ".join(_MOMENTS)
    if unknown:
        text = f"nothing calls {cls.__name__}.{unknown[0]}; a trainer calls {moments}"
        if called:
            found.remark(f"{where}: {text}")
        else:
            found.add(where, text)
    elif not called:
        found.remark(f"{where}: {cls.__name__} does nothing: it overrides none of {moments}")


def _check_evaluation(parts: Parts, settings: TrainSettings, found: Findings) -> None:
    evaluated = parts.test_loader is not None and parts.evaluator is not None
    if parts.evaluator is not None and parts.test_loader is None:
        found.add(
            "dataloader.test", "there is an evaluator and nothing to evaluate", "dataloader.evaluator=None"
        )
    if settings.best_metric and not evaluated:
        found.add(
            "train.best_metric",
            f"{settings.best_metric!r} is a result of an evaluation, and there is none: it takes "
            "dataloader.test and dataloader.evaluator",
            "train.best_metric=",
        )
    if not evaluated:
        found.remark("nothing is evaluated: that takes dataloader.test and dataloader.evaluator")


def schedule_problem(multiplier: Any) -> tuple[str, str] | None:
    """Say what is wrong with ``lr_multiplier``, and the remedy; None if nothing is."""
    if multiplier is None:
        return None
    expected = "expected a function of progress, 0 at the beginning and 1 at the end, that gives a factor"
    if isinstance(multiplier, TorchLRScheduler):
        return (
            f"{type(multiplier).__name__} steps an optimizer of its own; {expected}",
            "a schedule of lazycfg.solver, or lr_multiplier=None and the hook "
            "L(lazycfg.engine.LRScheduler)(scheduler=...) in train.hooks",
        )
    if isinstance(multiplier, type):
        return f"{multiplier.__name__} is a class, not an object of it; {expected}", ""
    if not callable(multiplier):
        constant = isinstance(multiplier, int | float) and not isinstance(multiplier, bool)
        remedy = "lr_multiplier=None for a constant rate (of optimizer.lr)" if constant else ""
        return f"{multiplier!r}: {expected}", remedy
    return _values_problem(multiplier)


def _values_problem(multiplier: Callable[[float], Any]) -> tuple[str, str] | None:
    for where in (0.0, 0.25, 0.5, 0.75, 0.999):
        try:
            value = multiplier(where)
            number = float(value)
        except Exception as error:  # whatever a function of the user's raises
            return f"it fails at {where:g} of the training: {type(error).__name__}: {error}", ""
        if not math.isfinite(number) or number < 0:
            return f"it gives {value!r} at {where:g} of the training, expected a factor of at least 0", ""
    return None
