"""Learning rates over the training of chart models: a tenth and a hundredth of the rate in the end."""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.solver import MultiStepParamScheduler, WarmupParamScheduler


def multi_step(milestones, max_iter, warmup_factor):
    """Up in a line over the first 1,000 steps, from a share of the rate."""
    return L(WarmupParamScheduler)(
        scheduler=L(MultiStepParamScheduler)([1.0, 0.1, 0.01], milestones=milestones, num_updates=max_iter),
        warmup_factor=warmup_factor,
        warmup_length=1000 / max_iter,
        warmup_method="linear",
    )


lr_multiplier_s1x: Any = multi_step([100000, 120000], 130000, warmup_factor=0.1)
lr_multiplier_3x: Any = multi_step([210000, 250000], 270000, warmup_factor=0.025)
