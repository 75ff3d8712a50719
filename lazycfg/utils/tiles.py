"""Where to cut a large image into overlapping tiles of one size."""

from collections.abc import Sequence

__all__ = ["check_tiling", "tile_boxes"]


def tile_boxes(
    height: int, width: int, size: tuple[int, int], overlap: tuple[float, float]
) -> list[tuple[int, int, int, int]]:
    """Return the tiles (x0, y0, x1, y1) that cover an image, row by row.

    The last tile of a row or column is moved back so that it ends with the image; an image smaller than a
    tile makes one tile of its own size. These are the slices of SAHI (arXiv:2202.06934).

    Args:
        height, width: of the image.
        size: (height, width) of a tile.
        overlap: part of a tile's (height, width) that the next one covers again, in [0, 1).
    """
    rows = _starts(height, size[0], int(overlap[0] * size[0]))
    columns = _starts(width, size[1], int(overlap[1] * size[1]))
    return [(x, y, min(x + size[1], width), min(y + size[0], height)) for y in rows for x in columns]


def _starts(length: int, size: int, overlap: int) -> list[int]:
    starts = list(range(0, max(1, length - overlap), size - overlap))
    return [min(start, max(0, length - size)) for start in starts]


def check_tiling(
    owner: str, slice_size: int | Sequence[int], overlap: float | Sequence[float]
) -> tuple[tuple[int, int], tuple[float, float]]:
    """Return the size (height, width) of a tile and the overlap in both directions, of two numbers or one.

    Raises:
        ValueError: a size that is no positive whole number, or an overlap outside [0, 1).
    """
    sides = (slice_size, slice_size) if isinstance(slice_size, int) else tuple(slice_size)
    if len(sides) != 2 or not all(isinstance(s, int) and not isinstance(s, bool) and s > 0 for s in sides):
        raise ValueError(f"{owner}: slice_size must be (height, width) in whole pixels, got {slice_size!r}")
    parts = (overlap, overlap) if isinstance(overlap, int | float) else tuple(overlap)
    if len(parts) != 2 or not all(0 <= p < 1 for p in parts):
        raise ValueError(f"{owner}: overlap must be a part of the slice in [0, 1), got {overlap!r}")
    if any(s - int(p * s) < 1 for s, p in zip(sides, parts, strict=True)):
        raise ValueError(f"{owner}: an overlap of {overlap!r} leaves no step of a pixel at {slice_size!r}")
    return (sides[0], sides[1]), (float(parts[0]), float(parts[1]))
