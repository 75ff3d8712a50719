"""Results held against what they should be."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from lazycfg.utils.suggest import closest

__all__ = ["verify_results"]

logger = logging.getLogger(__name__)


def verify_results(
    results: Mapping[str, Mapping[str, Any]], expected: Sequence[Sequence[Any]]
) -> Mapping[str, Mapping[str, Any]]:
    """Raise if results are not what was expected, for a check of code or of weights.

    ::

        verify_results(evaluate(cfg), [["bbox", "AP", 38.5, 0.2], ["segm", "AP", 35.2, 0.2]])

    Args:
        results: task -> metric -> value, as an evaluation gives them.
        expected: for each number its task, its metric, the value, and by how much it may differ.

    Returns:
        the results.

    Raises:
        AssertionError: a value differs by more, is no number, or is not there; the message lists them all.
        ValueError: a line of ``expected`` is none.
    """
    wrong = []
    for line in expected:
        if len(line) != 4:
            raise ValueError(f"expected (task, metric, value, tolerance), got {line!r}")
        task, metric, value, tolerance = line
        if task not in results:
            wrong.append(f"{task}: there are no such results{closest(task, results)}")
        elif metric not in results[task]:
            wrong.append(f"{task} {metric}: there is no such metric{closest(metric, results[task])}")
        else:
            actual = float(results[task][metric])
            if not abs(actual - value) <= tolerance or not math.isfinite(actual):
                wrong.append(f"{task} {metric}: {actual:.4f}, expected {value:g} +- {tolerance:g}")
    if wrong:
        raise AssertionError("results are not as expected:\n  " + "\n  ".join(wrong))
    logger.info("all %d results are as expected", len(expected))
    return results
