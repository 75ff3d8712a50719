"""Optimizer parameter groups, learning-rate schedules, gradient clipping."""

from .clip_grad import ClipGradNorm, ClipGradNormPerParameter, ClipGradValue
from .lr_multiplier import LRMultiplier, WarmupPolyLR
from .param_groups import get_default_optimizer_params, reduce_param_groups
from .param_schedulers import (
    CompositeParamScheduler,
    ConstantParamScheduler,
    CosineParamScheduler,
    ExponentialParamScheduler,
    LinearParamScheduler,
    MultiStepParamScheduler,
    ParamScheduler,
    PolynomialDecayParamScheduler,
    WarmupParamScheduler,
    WarmupPolyParamScheduler,
)

__all__ = [
    "ClipGradNorm",
    "ClipGradNormPerParameter",
    "ClipGradValue",
    "CompositeParamScheduler",
    "ConstantParamScheduler",
    "CosineParamScheduler",
    "ExponentialParamScheduler",
    "LRMultiplier",
    "LinearParamScheduler",
    "MultiStepParamScheduler",
    "ParamScheduler",
    "PolynomialDecayParamScheduler",
    "WarmupParamScheduler",
    "WarmupPolyLR",
    "WarmupPolyParamScheduler",
    "get_default_optimizer_params",
    "reduce_param_groups",
]
