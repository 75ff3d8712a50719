"""Masks as run lengths in the notation of COCO; encoded straight from a window of the image.

Runs go down the columns and alternate between outside and inside, beginning with outside. Written as text,
each number has five bits a character, least significant first, the sixth bit saying that more follow; from
the fourth on, what is written is the difference to the run before the last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

__all__ = [
    "decode_rle",
    "encode_crop",
    "encode_crops",
    "encode_mask",
    "encode_masks_near",
    "rle_area",
    "rle_runs",
]


def encode_mask(mask: np.ndarray) -> dict[str, Any]:
    """Encode a mask (H, W) of a whole image, as `encode_crop` does."""
    rows = np.flatnonzero(mask.any(axis=1))
    if len(rows) == 0:
        return encode_crop(mask[:0], 0, 0, mask.shape)
    top, bottom = rows[0], rows[-1] + 1
    columns = np.flatnonzero(mask[top:bottom].any(axis=0))
    left, right = columns[0], columns[-1] + 1
    return encode_crop(mask[top:bottom, left:right], int(top), int(left), mask.shape)


def encode_masks_near(masks: np.ndarray, windows: np.ndarray) -> list[dict[str, Any]]:
    """Encode masks of whole images that lie in windows as a rule; those that do not are encoded as well.

    Args:
        masks: (N, H, W) bool.
        windows: (N, 4) int64, x0, y0, x1, y1: where to look first, from a pixel to before another.

    Returns:
        N dicts, equal to those of `encode_mask`.
    """
    crops = [mask[y0:y1, x0:x1] for mask, (x0, y0, x1, y1) in zip(masks, windows.tolist(), strict=True)]
    counts = [
        np.count_nonzero(mask) - np.count_nonzero(crop) for mask, crop in zip(masks, crops, strict=True)
    ]
    result = encode_crops(crops, windows[:, 1], windows[:, 0], masks.shape[1:])
    for index in np.flatnonzero(counts).tolist():
        result[index] = encode_mask(masks[index])
    return result


def encode_crop(crop: np.ndarray, y0: int, x0: int, image_size: tuple[int, ...]) -> dict[str, Any]:
    """Encode a mask of which only a window may be set.

    Args:
        crop: (h, w) bool, the window.
        y0, x0: its upper left pixel in the image.
        image_size: (height, width) of the image.

    Returns:
        ``{"size": [height, width], "counts": text}``, equal to what the COCO tools make of the whole mask.
    """
    return encode_crops([crop], np.array([y0]), np.array([x0]), image_size)[0]


def encode_crops(
    crops: Sequence[np.ndarray], y0: np.ndarray, x0: np.ndarray, image_size: tuple[int, ...]
) -> list[dict[str, Any]]:
    """Encode N masks of one image, see `encode_crop`; in one go, which takes far less time.

    Args:
        crops: of each mask (h, w) bool.
        y0, x0: (N,) int64.
        image_size: (height, width) of the image.
    """
    height, width = int(image_size[0]), int(image_size[1])
    runs, counts = _run_lengths(crops, y0, x0, height, width)
    size = [height, width]
    return [{"size": list(size), "counts": text} for text in _as_texts(runs, counts)]


def _run_lengths(
    crops: Sequence[np.ndarray], y0: np.ndarray, x0: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the lengths of the runs of all masks, outside first, and how many each mask has.

    Those of a mask add up to ``height * width``.
    """
    # Columns as rows, with a pixel of outside below each, so that no run goes on into the next column.
    strides = np.array([crop.shape[0] + 1 for crop in crops], dtype=np.int64)
    sizes = strides * [crop.shape[1] for crop in crops]
    offsets = np.cumsum(sizes) - sizes
    pixels = np.zeros(int(sizes.sum()) + 1, dtype=np.bool_)  # one of outside before the first
    for crop, offset, size, stride in zip(
        crops, offsets.tolist(), sizes.tolist(), strides.tolist(), strict=True
    ):
        pixels[offset + 1 : offset + 1 + size].reshape(-1, stride)[:, :-1] = crop.T
    edges = np.flatnonzero(pixels[1:] != pixels[:-1])
    mask = np.searchsorted(offsets, edges, side="right") - 1
    x, y = np.divmod(edges - offsets[mask], strides[mask])
    # A run that ends at the lower border of the image ends where the next column begins.
    positions = (x + x0[mask]) * height + y + y0[mask]
    starts, ends, mask = positions[0::2], positions[1::2], mask[0::2]
    apart = (starts[1:] != ends[:-1]) | (mask[1:] != mask[:-1])
    first, last = np.ones(len(starts), dtype=bool), np.ones(len(starts), dtype=bool)
    first[1:] = last[:-1] = apart
    inside = np.bincount(mask[first], minlength=len(crops))
    # Of each mask 0, the bounds of its runs, and the end of the image
    ends_of = np.cumsum(2 * inside + 2)
    bounds = np.zeros(int(ends_of[-1]) if len(crops) else 0, dtype=np.int64)
    between = np.ones(len(bounds), dtype=bool)
    between[ends_of - 1] = between[ends_of - 2 * inside - 2] = False
    bounds[ends_of - 1] = height * width
    bounds[between] = np.stack((starts[first], ends[last]), axis=1).ravel()
    runs = np.diff(bounds, append=0)
    used = np.ones(len(bounds), dtype=bool)
    used[ends_of - 1] = False  # from one mask to the next
    empty = (inside > 0) & (runs[ends_of - 2] == 0)  # the last run: to the end of the image
    used[ends_of[empty] - 2] = False
    return runs[used], 2 * inside + 1 - empty


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


def _as_texts(runs: np.ndarray, counts: np.ndarray) -> list[str]:
    """Return one text per mask.

    Args:
        runs: the lengths of all masks' runs.
        counts: (N,) how many of them each mask has, one at least.
    """
    ends = np.cumsum(counts)
    values = runs.copy()
    place = np.arange(len(runs)) - np.repeat(ends - counts, counts)
    later = np.flatnonzero(place >= 3)
    values[later] -= runs[later - 2]
    characters = np.zeros((len(values), 13), dtype=np.uint8)  # 13 * 5 bits hold any int64
    lengths = np.zeros(len(values), dtype=np.int64)
    pending = np.arange(len(values))
    for i in range(13):
        low = values & 0x1F
        values = values >> 5
        # What is left must be all sign bits, and agree with the sign bit just written.
        more = np.where(low & 0x10, values != -1, values != 0)
        characters[pending, i] = low + 48 + 32 * more
        lengths[pending] = i + 1
        pending, values = pending[more], values[more]
        if not len(pending):
            break
    text = characters[np.arange(13) < lengths[:, None]].tobytes().decode("ascii")
    bounds = np.cumsum(lengths)[ends - 1].tolist()
    return [text[start:end] for start, end in zip([0, *bounds], bounds, strict=False)]


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
