"""Masks as run lengths in the notation of COCO; encoded straight from a window of the image.

Runs go down the columns and alternate between outside and inside, beginning with outside. Written as text,
each number has five bits a character, least significant first, the sixth bit saying that more follow; from
the fourth on, what is written is the difference to the run before the last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["decode_rle", "encode_crop", "encode_mask", "rle_area", "rle_runs", "run_lengths"]


def encode_mask(mask: np.ndarray) -> dict[str, Any]:
    """Encode a mask (H, W) of a whole image, as `encode_crop` does."""
    rows = np.flatnonzero(mask.any(axis=1))
    if len(rows) == 0:
        return encode_crop(mask[:0], 0, 0, mask.shape)
    top, bottom = rows[0], rows[-1] + 1
    columns = np.flatnonzero(mask[top:bottom].any(axis=0))
    left, right = columns[0], columns[-1] + 1
    return encode_crop(mask[top:bottom, left:right], int(top), int(left), mask.shape)


def encode_crop(crop: np.ndarray, y0: int, x0: int, image_size: tuple[int, ...]) -> dict[str, Any]:
    """Encode a mask of which only a window may be set.

    Args:
        crop: (h, w) bool, the window.
        y0, x0: its upper left pixel in the image.
        image_size: (height, width) of the image.

    Returns:
        ``{"size": [height, width], "counts": text}``, equal to what the COCO tools make of the whole mask.
    """
    height, width = int(image_size[0]), int(image_size[1])
    return {"size": [height, width], "counts": _as_text(run_lengths(crop, y0, x0, height, width))}


def run_lengths(crop: np.ndarray, y0: int, x0: int, height: int, width: int) -> np.ndarray:
    """Return the (K,) lengths of the runs, outside first; they add up to ``height * width``."""
    # Columns as rows, with a pixel of outside below each, so that no run goes on into the next column.
    columns = np.zeros((crop.shape[1], crop.shape[0] + 1), dtype=np.int8)
    columns[:, :-1] = crop.T
    edges = np.flatnonzero(np.diff(columns.ravel(), prepend=np.int8(0)))
    x, y = np.divmod(edges, columns.shape[1])
    # A run that ends at the lower border of the image ends where the next column begins.
    positions = (x + x0) * height + y + y0
    starts, ends = positions[0::2], positions[1::2]
    apart = starts[1:] != ends[:-1]
    bounds = np.empty((int(apart.sum()) + 1 if len(starts) else 0, 2), dtype=np.int64)
    if len(starts):
        bounds[:, 0] = np.concatenate((starts[:1], starts[1:][apart]))
        bounds[:, 1] = np.concatenate((ends[:-1][apart], ends[-1:]))
    whole = np.concatenate(([0], bounds.ravel(), [height * width]))
    runs = np.diff(whole)
    return runs[:-1] if len(runs) > 1 and runs[-1] == 0 else runs


def decode_rle(rle: Mapping[str, Any]) -> np.ndarray:
    """Return the mask (H, W) bool of ``{"size": [H, W], "counts": text or list of run lengths}``.

    Raises:
        ValueError: the runs do not fill the size, or cannot be read (see `rle_runs`).
    """
    height, width = (int(side) for side in rle["size"])
    runs = rle_runs(rle)
    if (runs < 0).any() or runs.sum() != height * width:
        raise ValueError(f"run lengths of {int(runs.sum())} pixels for a mask of {height} x {width}")
    inside = np.zeros(len(runs), dtype=bool)
    inside[1::2] = True
    return np.repeat(inside, runs).reshape(width, height).T.copy()


def rle_area(rle: Mapping[str, Any]) -> int:
    """Number of pixels inside a mask given as text or as a list of run lengths."""
    return int(rle_runs(rle)[1::2].sum())


def _as_text(runs: np.ndarray) -> str:
    values = runs.copy()
    values[3:] -= runs[1:-2]
    characters = np.zeros((len(values), 13), dtype=np.uint8)  # 13 * 5 bits hold any int64
    used = np.zeros((len(values), 13), dtype=bool)
    pending = np.ones(len(values), dtype=bool)
    for i in range(13):
        low = values & 0x1F
        values = values >> 5
        # What is left must be all sign bits, and agree with the sign bit just written.
        more = np.where(low & 0x10, values != -1, values != 0)
        used[:, i] = pending
        characters[:, i] = low + 48 + 32 * more
        pending = pending & more
        if not pending.any():
            break
    return characters[used].tobytes().decode("ascii")


def rle_runs(rle: Mapping[str, Any]) -> np.ndarray:
    """Return the run lengths (R,) int64, outside first, of text or of a list.

    Raises:
        ValueError: they are neither, or the text is not of this notation.
    """
    counts = rle["counts"]
    if isinstance(counts, (str, bytes)):
        return _from_text(counts)
    values = counts.tolist() if isinstance(counts, np.ndarray) else counts
    if not isinstance(values, (list, tuple)):
        raise ValueError(
            f"counts of an RLE must be text or a list of run lengths, got {type(counts).__name__}"
        )
    wrong = [v for v in values if not isinstance(v, (int, np.integer)) or abs(v) >= 2**40]
    if wrong:
        raise ValueError(f"counts of an RLE must be whole numbers below 2**40, got {wrong[0]!r}")
    return np.asarray(values, dtype=np.int64)


def _from_text(text: str | bytes) -> np.ndarray:
    raw = text.encode("utf-8", "replace") if isinstance(text, str) else text
    data = np.frombuffer(raw, dtype=np.uint8).astype(np.int64) - 48
    if len(data) == 0:
        return data
    if (data < 0).any() or (data > 63).any():
        wrong = chr(raw[int(np.flatnonzero((data < 0) | (data > 63))[0])])
        raise ValueError(
            f"counts of an RLE as text have characters from '0' to 'o', not {wrong!r}; is it base64?"
        )
    last = (data & 0x20) == 0
    if not last[-1]:
        raise ValueError("counts of an RLE as text end within a number; were they cut off?")
    number = np.concatenate(([0], np.cumsum(last)[:-1]))
    first = np.flatnonzero(np.concatenate(([True], last[:-1])))
    shift = 5 * (np.arange(len(data)) - first[number])
    if shift.max() > 35:
        raise ValueError("counts of an RLE as text have a number of more than 40 bits")
    values = np.zeros(int(last.sum()), dtype=np.int64)
    np.add.at(values, number, (data & 0x1F) << shift)
    negative = (data[last] & 0x10) != 0
    values[negative] -= np.int64(1) << (shift[last][negative] + 5)
    # Undo the differences: odd and even runs each are a running sum from the second of them on.
    for parity in (0, 1):
        chain = values[parity + 2 if parity == 0 else parity :: 2]
        chain[:] = np.cumsum(chain)
    return values
