"""Optimizers and schedules of a config, and their classes as they were called."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from lazycfg import solver
from lazycfg.config import instantiate
from lazycfg.convert.yacs.solver import build_lr_multiplier, train_settings
from lazycfg.convert.yacs.solver import build_optimizer as optimizer_node
from lazycfg.solver.param_groups import reduce_param_groups as reduce_param_groups

__all__ = [
    "GradientClipType",
    "LRMultiplier",
    "WarmupCosineLR",
    "WarmupMultiStepLR",
    "WarmupPolyLR",
    "build_lr_scheduler",
    "build_optimizer",
    "get_default_optimizer_params",
    "maybe_add_gradient_clipping",
    "reduce_param_groups",
]

WarmupPolyLR = solver.WarmupPolyLR


def get_default_optimizer_params(
    model: nn.Module,
    base_lr: float | None = None,
    weight_decay: float | None = None,
    weight_decay_norm: float | None = None,
    bias_lr_factor: float | None = 1.0,
    weight_decay_bias: float | None = None,
    lr_factor_func: Callable[[str], float] | None = None,
    overrides: dict[str, dict[str, float]] | None = None,
) -> list[dict[str, Any]]:
    """Return groups of parameters; see `lazycfg.solver.get_default_optimizer_params`."""
    return solver.get_default_optimizer_params(
        model,
        base_lr=base_lr,
        weight_decay=weight_decay,
        weight_decay_norm=weight_decay_norm,
        bias_lr_factor=1.0 if bias_lr_factor is None else bias_lr_factor,
        weight_decay_bias=weight_decay_bias,
        lr_factor_func=lr_factor_func,
        overrides=overrides,
    )


def _keys(cfg: Any) -> Any:
    from .building import keys_of

    return keys_of(cfg)


def build_optimizer(cfg: Any, model: nn.Module) -> torch.optim.Optimizer:
    """Build the optimizer that a config describes, with its clipping of gradients: always SGD, as in
    detectron2. A program that has ``SOLVER.OPTIMIZER`` reads it itself.
    """
    node = optimizer_node(_keys(cfg), sgd=True)
    node.params.model = model
    if "base_lr" in node.params:
        node.params.base_lr = cfg.SOLVER.BASE_LR
    return maybe_add_gradient_clipping(cfg, instantiate(node))


class GradientClipType(enum.Enum):
    """How gradients are clipped."""

    VALUE = "value"
    NORM = "norm"


def maybe_add_gradient_clipping(cfg: Any, optimizer: Any) -> Any:
    """Return an optimizer that clips gradients before its step as the config asks; as it is if it does not.

    Args:
        optimizer: one, or a class of optimizers, of which a subclass is returned.
    """
    clip = instantiate(train_settings(_keys(cfg))["clip_grad"]) if cfg.SOLVER.CLIP_GRADIENTS.ENABLED else None
    if clip is None:
        return optimizer
    cls = optimizer if isinstance(optimizer, type) else type(optimizer)

    class WithGradientClip(cls):  # type: ignore[misc, valid-type]
        def step(self, closure: Any = None) -> Any:
            clip([p for group in self.param_groups for p in group["params"]])
            return super().step() if closure is None else super().step(closure)

    WithGradientClip.__name__ = f"{cls.__name__}WithGradientClip"
    if isinstance(optimizer, type):
        return WithGradientClip
    optimizer.__class__ = WithGradientClip
    return optimizer


class LRMultiplier(solver.LRMultiplier):
    """The rate of an optimizer as a function of the share of training done; a torch scheduler."""


def build_lr_scheduler(cfg: Any, optimizer: torch.optim.Optimizer) -> Any:
    """Build the schedule that a config describes."""
    multiplier = instantiate(build_lr_multiplier(_keys(cfg)))
    return LRMultiplier(optimizer, multiplier=multiplier, max_iter=cfg.SOLVER.MAX_ITER)


class WarmupMultiStepLR(torch.optim.lr_scheduler.LRScheduler):
    """Warm-up, then the rate times `gamma` at each milestone."""

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        milestones: Sequence[int],
        gamma: float = 0.1,
        warmup_factor: float = 0.001,
        warmup_iters: int = 1000,
        warmup_method: str = "linear",
        last_epoch: int = -1,
    ) -> None:
        if list(milestones) != sorted(milestones):
            raise ValueError(f"milestones should be a list of increasing integers, got {milestones}")
        self.milestones, self.gamma = list(milestones), gamma
        self.warmup = (warmup_method, warmup_iters, warmup_factor)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the rates of this iteration."""
        factor = _warmup(self.last_epoch, *self.warmup)
        passed = sum(self.last_epoch >= step for step in self.milestones)
        return [rate * factor * self.gamma**passed for rate in self.base_lrs]


class WarmupCosineLR(torch.optim.lr_scheduler.LRScheduler):
    """Warm-up, then half a cosine wave down to 0."""

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        max_iters: int,
        warmup_factor: float = 0.001,
        warmup_iters: int = 1000,
        warmup_method: str = "linear",
        last_epoch: int = -1,
    ) -> None:
        self.max_iters = max_iters
        self.warmup = (warmup_method, warmup_iters, warmup_factor)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Return the rates of this iteration."""
        factor = _warmup(self.last_epoch, *self.warmup)
        wave = 0.5 * (1.0 + math.cos(math.pi * self.last_epoch / self.max_iters))
        return [rate * factor * wave for rate in self.base_lrs]


def _warmup(iteration: int, method: str, warmup_iters: int, factor: float) -> float:
    if iteration >= warmup_iters or method == "constant":
        return factor if method == "constant" and iteration < warmup_iters else 1.0
    if method != "linear":
        raise ValueError(f"unknown warmup method: {method}; expected 'linear' or 'constant'")
    share = iteration / warmup_iters
    return factor * (1 - share) + share


def _get_warmup_factor_at_iter(method: str, iter: int, warmup_iters: int, warmup_factor: float) -> float:
    """Return the factor of the rate in warm-up."""
    return _warmup(iter, method, warmup_iters, warmup_factor)
