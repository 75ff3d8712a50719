"""Values as a function of training progress.

A schedule is called with ``where``, the fraction of training done in [0, 1), and returns the value there. It
knows nothing of iterations: a run of another length stretches it.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal

__all__ = [
    "CompositeParamScheduler",
    "ConstantParamScheduler",
    "CosineParamScheduler",
    "ExponentialParamScheduler",
    "LinearParamScheduler",
    "MultiStepParamScheduler",
    "ParamScheduler",
    "PolynomialDecayParamScheduler",
    "WarmupParamScheduler",
    "WarmupPolyParamScheduler",
]

# iteration / max_iter * max_iter may come out a hair below the iteration it stands for. As a share of
# training this is a thousandth of an iteration in a run of a million.
_EPSILON = 1e-9

ParamScheduler = Callable[[float], float]


class ConstantParamScheduler:
    """A constant."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __call__(self, where: float) -> float:
        return self.value


class LinearParamScheduler:
    """A straight line from ``start_value`` to ``end_value``."""

    def __init__(self, start_value: float, end_value: float) -> None:
        self.start_value = start_value
        self.end_value = end_value

    def __call__(self, where: float) -> float:
        return self.start_value + (self.end_value - self.start_value) * where


class CosineParamScheduler:
    """Half a cosine wave from ``start_value`` to ``end_value``. Loshchilov & Hutter, SGDR, 2017."""

    def __init__(self, start_value: float, end_value: float) -> None:
        self.start_value = start_value
        self.end_value = end_value

    def __call__(self, where: float) -> float:
        return self.end_value + 0.5 * (self.start_value - self.end_value) * (1 + math.cos(math.pi * where))


class ExponentialParamScheduler:
    """``start_value * decay ** where``."""

    def __init__(self, start_value: float, decay: float) -> None:
        self.start_value = start_value
        self.decay = decay

    def __call__(self, where: float) -> float:
        return float(self.start_value * self.decay**where)


class PolynomialDecayParamScheduler:
    """``base_value * (1 - where) ** power``: the "poly" schedule of semantic segmentation."""

    def __init__(self, base_value: float, power: float) -> None:
        self.base_value = base_value
        self.power = power

    def __call__(self, where: float) -> float:
        return float(self.base_value * (1 - where) ** self.power)


class MultiStepParamScheduler:
    """Constant values between milestones.

    Args:
        values: one more than there are milestones.
        milestones: progress, in any unit (updates, epochs), at which the next value begins; increasing.
        num_updates: the end of training in that unit. When left out, the last milestone is the end.

    Raises:
        ValueError: milestones that do not increase up to the end, or a wrong number of values.
    """

    def __init__(
        self, values: Sequence[float], milestones: Sequence[float], num_updates: float | None = None
    ) -> None:
        milestones = list(milestones)
        if num_updates is None:
            if not milestones:
                raise ValueError("num_updates is needed when there are no milestones")
            num_updates = milestones.pop()
        if len(values) != len(milestones) + 1:
            raise ValueError(
                f"{len(milestones)} milestones {milestones} split training into {len(milestones) + 1} parts, "
                f"but there are {len(values)} values {list(values)}"
            )
        if any(a >= b for a, b in pairwise([*milestones, num_updates])):
            raise ValueError(
                f"milestones {milestones} must increase and end before num_updates={num_updates}"
            )
        self.values = list(values)
        self.milestones = milestones
        self.num_updates = num_updates

    def __call__(self, where: float) -> float:
        return self.values[bisect_right(self.milestones, (where + _EPSILON) * self.num_updates)]


class CompositeParamScheduler:
    """Several schedules one after another.

    Args:
        schedulers: the schedules, first to last.
        lengths: the share of training of each; they sum to 1.
        interval_scaling: for each, whether it sees its own share as [0, 1) (``"rescaled"``) or the progress
            of the whole training (``"fixed"``). All rescaled when left out.

    Raises:
        ValueError: lists of different lengths, shares that do not sum to 1, an unknown scaling.
    """

    def __init__(
        self,
        schedulers: Sequence[ParamScheduler],
        lengths: Sequence[float],
        interval_scaling: Sequence[Literal["rescaled", "fixed"]] | None = None,
    ) -> None:
        scaling = ["rescaled"] * len(schedulers) if interval_scaling is None else list(interval_scaling)
        if not len(schedulers) == len(lengths) == len(scaling):
            raise ValueError(
                f"{len(schedulers)} schedulers, {len(lengths)} lengths and {len(scaling)} interval_scaling"
            )
        if abs(sum(lengths) - 1) > 1e-3:
            raise ValueError(f"lengths {list(lengths)} sum to {sum(lengths)}, expected 1")
        if unknown := set(scaling) - {"rescaled", "fixed"}:
            raise ValueError(f"interval_scaling {sorted(unknown)}: expected 'rescaled' or 'fixed'")
        self.schedulers = list(schedulers)
        self.lengths = list(lengths)
        self.interval_scaling = scaling

    def __call__(self, where: float) -> float:
        start = 0.0
        last = len(self.lengths) - 1
        for i, length in enumerate(self.lengths):
            if where + _EPSILON < start + length or i == last:
                break
            start += length
        if self.interval_scaling[i] == "rescaled" and length > 0:
            where = (where - start) / length
        return self.schedulers[i](where)


class WarmupParamScheduler:
    """A schedule whose beginning is replaced by a warm-up.

    Args:
        scheduler: the schedule after (and, unless rescaled, hidden under) the warm-up.
        warmup_factor: the warm-up starts at this factor times the schedule's first value.
        warmup_length: share of training that the warm-up takes, in [0, 1]: iterations / max_iter.
        warmup_method: ``"linear"`` up to where the schedule goes on, or ``"constant"``.
        rescale_interval: whether the schedule is squeezed into what the warm-up leaves, instead of
            losing its beginning.

    Raises:
        ValueError: a length outside [0, 1] (often: given in iterations), an unknown method.
    """

    def __init__(
        self,
        scheduler: ParamScheduler,
        warmup_factor: float,
        warmup_length: float,
        warmup_method: Literal["linear", "constant"] = "linear",
        rescale_interval: bool = False,
    ) -> None:
        if not 0 <= warmup_length <= 1:
            raise ValueError(
                f"warmup_length={warmup_length} is a share of training in [0, 1]: iterations / max_iter"
            )
        start = warmup_factor * scheduler(0.0)
        end = scheduler(0.0) if rescale_interval else scheduler(warmup_length)
        warmup: ParamScheduler
        if warmup_method == "linear":
            warmup = LinearParamScheduler(start, end)
        elif warmup_method == "constant":
            warmup = ConstantParamScheduler(start)
        else:
            raise ValueError(f"warmup_method {warmup_method!r}: expected 'linear' or 'constant'")
        self._composite = CompositeParamScheduler(
            [warmup, scheduler],
            lengths=[warmup_length, 1 - warmup_length],
            interval_scaling=["rescaled", "rescaled" if rescale_interval else "fixed"],
        )

    def __call__(self, where: float) -> float:
        return self._composite(where)


class WarmupPolyParamScheduler:
    """``(1 - where) ** power`` times a warm-up, the schedule of DeepLab.

    A `WarmupParamScheduler` of a `PolynomialDecayParamScheduler` is another curve: it rises in a line to
    where the decay goes on, while this one decays during the warm-up, too.

    Args:
        power: of the decay.
        warmup_factor: the factor that the warm-up starts at.
        warmup_length: share of training that the warm-up takes, in [0, 1]: iterations / max_iter.
        warmup_method: ``"linear"`` up to 1, or ``"constant"``.
        constant_ending: after the warm-up the value is never below this.

    Raises:
        ValueError: a length outside [0, 1] (often: given in iterations), an unknown method.
    """

    def __init__(
        self,
        power: float = 0.9,
        warmup_factor: float = 0.001,
        warmup_length: float = 0.0,
        warmup_method: Literal["linear", "constant"] = "linear",
        constant_ending: float = 0.0,
    ) -> None:
        if not 0 <= warmup_length <= 1:
            raise ValueError(
                f"warmup_length={warmup_length} is a share of training in [0, 1]: iterations / max_iter"
            )
        if warmup_method not in ("linear", "constant"):
            raise ValueError(f"warmup_method {warmup_method!r}: expected 'linear' or 'constant'")
        self.power = power
        self.warmup_factor = warmup_factor
        self.warmup_length = warmup_length
        self.warmup_method = warmup_method
        self.constant_ending = constant_ending

    def __call__(self, where: float) -> float:
        decayed = float((1 - where) ** self.power)
        if where + _EPSILON >= self.warmup_length:
            return max(decayed, self.constant_ending)
        if self.warmup_method == "constant":
            return decayed * self.warmup_factor
        done = where / self.warmup_length
        return decayed * (self.warmup_factor * (1 - done) + done)
