"""The first loss that is not a number, and the images it came from: found out when losses are read anyway."""

import math
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from typing import Any

__all__ = ["FiniteCheck"]

_SHOWN = 16


class FiniteCheck:
    """Remembers which images each of the last steps saw, and names those of the first bad one.

    Args:
        batches: how many to remember: at least as many as pass between two checks.
    """

    def __init__(self, batches: int) -> None:
        self._seen: deque[tuple[int, list[str]]] = deque(maxlen=max(batches, 1))

    def saw(self, iteration: int, batch: Any) -> None:
        """Remember a batch by its names only, so that its tensors can be freed."""
        self._seen.append((iteration, _names(batch)))

    def message(self, records: Iterable[tuple[str, float, int]], losses: Collection[str]) -> str:
        """Describe the first step with a loss that is not finite; return an empty text when all losses are
        finite.

        Args:
            records: ``(name, value, iteration)`` in order.
            losses: which of the names are losses.
        """
        of_losses = [record for record in records if record[0] in losses]
        bad = [record for record in of_losses if not math.isfinite(record[1])]
        if not bad:
            return ""
        first = min(iteration for _, _, iteration in bad)
        values = {name: value for name, value, iteration in of_losses if iteration == first}
        culprits = [name for name in values if not math.isfinite(values[name])]
        culprits = [name for name in culprits if name != "total_loss"] or culprits
        images = [name for iteration, names in self._seen if iteration == first for name in names]
        shown = ", ".join(images[:_SHOWN]) or "unknown (the batch is no list of dicts)"
        return (
            f"{', '.join(culprits)} became {values[culprits[0]]} at iteration {first}, the first loss that "
            f"is not finite. Losses then: {_listed(values)}. Images of that step: {shown}. Usual causes: a "
            "learning rate too high for the batch size, too short a warm-up, no gradient clipping, broken "
            "annotations of one of these images."
        )


def _listed(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name}={value:.4g}" for name, value in values.items())


def _names(batch: Any) -> list[str]:
    if not isinstance(batch, (list, tuple)):
        return []
    return [
        " ".join(f"{key}={record[key]}" for key in ("file_name", "image_id") if key in record)
        for record in batch
        if isinstance(record, Mapping)
    ]
