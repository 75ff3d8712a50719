"""Checks of the arguments of augmentations."""

from __future__ import annotations

import math
from collections.abc import Sequence


def check_probability(owner: str, name: str, value: float) -> float:
    """Return a probability.

    Raises:
        ValueError: it does not lie in [0, 1].
    """
    return check_number(owner, name, value, 0.0, 1.0)


def check_number(
    owner: str, name: str, value: float, low: float = -math.inf, high: float = math.inf
) -> float:
    """Return a number from `low` to `high`, both included.

    Raises:
        ValueError: it is no number, or lies elsewhere.
    """
    if not _is_number(value) or not low <= value <= high:
        raise ValueError(f"{owner}: {name} must be {_expected(low, high)}, got {value!r}")
    return float(value)


def check_count(owner: str, name: str, value: int, low: int = 1) -> int:
    """Return a whole number of at least `low`.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise ValueError(f"{owner}: {name} must be a whole number of at least {low}, got {value!r}")
    return value


def check_range(
    owner: str, name: str, value: Sequence[float], low: float = -math.inf, high: float = math.inf
) -> tuple[float, float]:
    """Return (lowest, highest) of a range that lies in `low` to `high`.

    Raises:
        ValueError: it is no such range.
    """
    if (
        isinstance(value, str)
        or not isinstance(value, Sequence)
        or len(value) != 2
        or not all(_is_number(v) and low <= v <= high for v in value)
        or value[0] > value[1]
    ):
        raise ValueError(
            f"{owner}: {name} must be (lowest, highest), each {_expected(low, high)}, got {value!r}"
        )
    return float(value[0]), float(value[1])


def check_either_way(owner: str, name: str, value: float | Sequence[float]) -> tuple[float, float]:
    """Return (lowest, highest) of a range, or (-value, value) of a number.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(value, Sequence):
        return check_range(owner, name, value)
    most = check_number(owner, name, value, 0.0)
    return -most, most


def check_size(owner: str, name: str, value: int | Sequence[int]) -> tuple[int, int]:
    """Return (height, width) in pixels, of two numbers or of one for both.

    Raises:
        ValueError: it is no size.
    """
    sides = (value, value) if isinstance(value, int) else tuple(value)
    whole = all(isinstance(s, int) and not isinstance(s, bool) and s > 0 for s in sides)
    if len(sides) != 2 or not whole:
        raise ValueError(f"{owner}: {name} must be (height, width) in whole pixels, got {value!r}")
    return sides[0], sides[1]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _expected(low: float, high: float) -> str:
    if math.isinf(low) and math.isinf(high):
        return "a number"
    if math.isinf(high):
        return f"a number of at least {low:g}"
    return f"a number from {low:g} to {high:g}"
