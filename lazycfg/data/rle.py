"""Run-length encoded masks of COCO files."""

from __future__ import annotations

from typing import Any

import numpy as np


def decode_rle(rle: dict[str, Any]) -> np.ndarray:
    """Mask (H, W) bool of a COCO run-length encoding.

    Args:
        rle: {"size": [height, width], "counts": list of run lengths, or their compressed string}; runs go
            down the columns and start with background.

    Raises:
        ValueError: the runs do not fill the size.
    """
    height, width = (int(v) for v in rle["size"])
    counts = rle["counts"]
    runs = _decompress(counts) if isinstance(counts, str | bytes) else np.asarray(counts, dtype=np.int64)
    if (runs < 0).any() or int(runs.sum()) != height * width:
        raise ValueError(f"RLE of size {height}x{width} has runs of {int(runs.sum())} pixels in all")
    values = np.zeros(len(runs), dtype=bool)
    values[1::2] = True
    return np.ascontiguousarray(np.repeat(values, runs).reshape(width, height).T)


def _decompress(text: str | bytes) -> np.ndarray:
    """COCO's string: 5 bits a character from '0' on, the sixth bit says "more"; from the fourth run on
    differences to the run before the last."""
    data = text.encode("ascii") if isinstance(text, str) else text
    runs: list[int] = []
    value = shift = 0
    for byte in data:
        c = byte - 48
        value |= (c & 0x1F) << shift
        shift += 5
        if c & 0x20:
            continue
        if c & 0x10:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("RLE string ends in the middle of a number")
    return np.asarray(runs, dtype=np.int64)
