"""Results of an evaluation as text tables."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from lazycfg.utils.tables import WIDTH, table_cell
from lazycfg.utils.tables import create_small_table as metrics_table

__all__ = ["distinct_names", "metrics_table", "per_class_table", "print_csv_format"]


def distinct_names(names: Sequence[str]) -> list[str]:
    """Return class names of which no two are equal: a repeated one is followed by the number of its class."""
    counts = Counter(names)
    return [name if counts[name] == 1 else f"{name} (class {index})" for index, name in enumerate(names)]


def per_class_table(rows: Sequence[Mapping[str, Any]], *, width: int = WIDTH) -> str:
    """Return one line per class; in two columns when there are many and they have room in ``width``.

    Names are shortened where a line would be longer.
    """
    if not rows:
        return ""
    heads = list(rows[0])
    cells = [heads, *([table_cell(row[head]) for head in heads] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(heads))]
    others = sum(space + 2 for space in widths[1:])
    widths[0] = max(min(widths[0], width - others), len(heads[0]), 8)
    lines = [
        f"{_shortened(line[0], widths[0]):<{widths[0]}}"
        + "".join(f"  {c:>{w}}" for c, w in zip(line[1:], widths[1:], strict=True))
        for line in cells
    ]
    if len(rows) <= 20 or 2 * len(lines[0]) + 4 > width:
        return "\n".join(lines)
    half = (len(rows) + 1) // 2
    left, right = lines[1 : half + 1], lines[half + 1 :]
    right += [""] * (len(left) - len(right))
    pairs = [(lines[0], lines[0]), *zip(left, right, strict=True)]
    return "\n".join(f"{a}    {b}".rstrip() for a, b in pairs)


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


def print_csv_format(results: Mapping[str, Mapping[str, float]]) -> None:
    """Log the main metrics as comma-separated lines, for pasting into a spreadsheet.

    Args:
        results: task -> metric -> value. Per-class metrics (with a "-" in their name) are left out.
    """
    logger = logging.getLogger(__name__)
    for task, metrics in results.items():
        if isinstance(metrics, Mapping):
            important = {name: value for name, value in metrics.items() if "-" not in name}
            logger.info("copypaste: Task: %s", task)
            logger.info("copypaste: %s", ",".join(important))
            logger.info("copypaste: %s", ",".join(f"{value:.4f}" for value in important.values()))
        else:
            logger.info("copypaste: %s=%s", task, metrics)
