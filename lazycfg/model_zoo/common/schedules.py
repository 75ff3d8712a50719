"""Learning rates over a training, as factors of the optimizer's rate.

A schedule is a function of the share of training done, so it stretches with ``train.max_iter``.
"""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.solver import (
    ConstantParamScheduler,
    CosineParamScheduler,
    MultiStepParamScheduler,
    WarmupParamScheduler,
    WarmupPolyParamScheduler,
)


def default_X_scheduler(num_X):
    """The reference's schedule for COCO: ``num_X`` times 90,000 steps of 16 pictures (12 epochs).

    Warm-up over the first 1,000 steps; a tenth of the rate for the last 60,000 and a hundredth for the last
    20,000 steps, or, up to 2x, at two thirds and eight ninths.
    """
    total = num_X * 90000
    milestones = [total * 2 // 3, total * 8 // 9] if num_X <= 2 else [total - 60000, total - 20000]
    return L(WarmupParamScheduler)(
        scheduler=L(MultiStepParamScheduler)([1.0, 0.1, 0.01], milestones=milestones, num_updates=total),
        warmup_factor=0.001,
        warmup_length=1000 / total,
        warmup_method="linear",
    )


def warmup_cosine(warmup_length=0.05, warmup_factor=0.001, end_value=0.0):
    """Up in a line over a share of training, then down as half a cosine wave."""
    return L(WarmupParamScheduler)(
        scheduler=L(CosineParamScheduler)(start_value=1.0, end_value=end_value),
        warmup_factor=warmup_factor,
        warmup_length=warmup_length,
        warmup_method="linear",
    )


def warmup_multi_step(milestones=(0.7, 0.9), gamma=0.1, warmup_length=0.05, warmup_factor=0.001):
    """Up in a line over a share of training; the rate times ``gamma`` at each milestone (shares, too)."""
    return L(WarmupParamScheduler)(
        scheduler=L(MultiStepParamScheduler)(
            [gamma**i for i in range(len(milestones) + 1)],
            milestones=list(milestones),
            num_updates=1.0,
        ),
        warmup_factor=warmup_factor,
        warmup_length=warmup_length,
        warmup_method="linear",
    )


def warmup_poly(power=0.9, warmup_length=0.05, warmup_factor=0.001, constant_ending=0.0):
    """DeepLab's: ``(1 - share of training) ** power``, times a warm-up in a line."""
    return L(WarmupPolyParamScheduler)(
        power=power,
        warmup_factor=warmup_factor,
        warmup_length=warmup_length,
        warmup_method="linear",
        constant_ending=constant_ending,
    )


lr_multiplier_1x: Any = default_X_scheduler(1)
lr_multiplier_2x: Any = default_X_scheduler(2)
lr_multiplier_3x: Any = default_X_scheduler(3)
lr_multiplier_6x: Any = default_X_scheduler(6)
lr_multiplier_9x: Any = default_X_scheduler(9)

# The same rate throughout, after a warm-up
lr_multiplier_constant: Any = L(WarmupParamScheduler)(
    scheduler=L(ConstantParamScheduler)(value=1.0),
    warmup_factor=0.001,
    warmup_length=0.05,
    warmup_method="linear",
)
