"""Numbers as a small text table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

WIDTH = 80
"""Characters of a line in a table: those of a terminal that nobody has made wider."""

__all__ = ["WIDTH", "create_small_table", "table_cell"]


def create_small_table(small_dict: Mapping[str, Any], *, width: int = WIDTH) -> str:
    """Return names and under them values; in as many pairs of lines as ``width`` characters ask for."""
    cells = [(name, table_cell(value)) for name, value in small_dict.items()]
    blocks: list[list[tuple[str, str]]] = [[]]
    used = 0
    for cell in cells:
        needed = max(map(len, cell)) + 2
        if blocks[-1] and used + needed - 2 > width:
            blocks.append([])
            used = 0
        blocks[-1].append(cell)
        used += needed
    lines = []
    for block in blocks:
        widths = [max(map(len, cell)) for cell in block]
        for row in (0, 1):
            pairs = zip(block, widths, strict=True)
            lines.append("  ".join(f"{cell[row]:>{space}}" for cell, space in pairs))
    return "\n".join(lines)


def table_cell(value: Any) -> str:
    """Return a float with two digits, anything else as text."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else f"{value:.2f}"
    return str(value)
