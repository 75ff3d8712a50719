"""Image files with more values than Pillow holds: numpy arrays, TIFF of any number of channels, PNG of 16
bits in several channels. Each is given as it is, (H, W, C), of its own type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

NPY_PREFIX = b"\x93NUMPY"

_TIFF_BITS, _TIFF_ORIENTATION = 258, 274
_EIGHT_BITS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")


def holds_all_values(picture: Image.Image) -> bool:
    """Return whether an opened image is decoded by Pillow without loss: one channel of any depth, or several
    of 8 bits; of a TIFF, all its pages.
    """
    if picture.mode not in _EIGHT_BITS and not picture.mode.startswith(("I", "F")):
        return False
    tiles = getattr(picture, "tile", ())
    if picture.mode in _EIGHT_BITS and any(";16" in str(tile[3]) for tile in tiles):
        return False
    if picture.format != "TIFF":
        return True
    bits = picture.tag_v2.get(_TIFF_BITS, (1,))
    return getattr(picture, "n_frames", 1) == 1 and (len(bits) == 1 or max(bits) == 8)


def map_npy(path: str) -> np.ndarray:
    """Return the array of a .npy file, of which nothing is read yet: (H, W) or (H, W, C).

    Raises:
        ValueError: it holds something else, or less than it says.
    """
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(array, np.ndarray) or array.ndim not in (2, 3) or array.dtype.kind not in "buif":
        kind = f"{getattr(array, 'dtype', type(array).__name__)} {tuple(getattr(array, 'shape', ()))}"
        raise ValueError(f"an array of an image has numbers and the shape (H, W) or (H, W, C), got {kind}")
    return array


class TiffFile:
    """A TIFF, opened by tifffile: `size` (height, width) as it is stored, `orientation`, and `read`.

    Pages of one size are channels, as microscopes write them.

    Raises:
        ValueError: tifffile is not installed, or the file is of another kind.
    """

    def __init__(self, file: Any) -> None:
        try:
            import tifffile
        except ImportError:
            raise ValueError(
                "this TIFF has channels that Pillow does not read: pip install tifffile, or give "
                "DatasetMapper(reader=...) a function that reads it"
            ) from None
        self._series = tifffile.TiffFile(file).series[0]
        axes, shape = self._series.axes, self._series.shape
        rest = [axis for axis in axes if axis not in "YX"]
        if "Y" not in axes or "X" not in axes or len(rest) > 1:
            raise ValueError(
                f"a TIFF of the axes {axes} {tuple(shape)}: expected height, width and one more, of channels"
            )
        self._axes = axes
        self.size = int(shape[axes.index("Y")]), int(shape[axes.index("X")])
        tag = self._series.keyframe.tags.get(_TIFF_ORIENTATION)
        self.orientation = 1 if tag is None else int(tag.value)

    def read(self) -> np.ndarray:
        """Return the values (H, W) or (H, W, C)."""
        array = np.asarray(self._series.asarray())
        order = [self._axes.index(axis) for axis in "YX"]
        return array.transpose(*order, *(i for i in range(array.ndim) if i not in order))


def read_png16(open_png: Callable[[], Any]) -> np.ndarray:
    """Return the values (H, W, C) uint16 of a PNG of 16 bits in 2 to 4 channels.

    Pillow gives the upper byte of each value. Told that the lower one comes first, as in other files, it
    gives the second byte, which is the lower one. The four bytes of grey with transparency it gives as they
    are, told that they are four channels.

    Args:
        open_png: opens the file, of which nothing is decoded yet.
    """
    picture = open_png()
    if any(str(tile[3]).startswith("LA;") for tile in picture.tile):
        return _decoded(picture, "RGBA").view(">u2").astype(np.uint16)
    upper = _decoded(picture, f"{picture.mode};16B").astype(np.uint16)
    return (upper << 8) | _decoded(open_png(), f"{picture.mode};16L")


def _decoded(picture: Any, raw_mode: str) -> np.ndarray:
    tiles = [(*tile[:3], raw_mode) for tile in picture.tile]
    # Of a class of their own since Pillow 11
    picture.tile = [
        type(old)(*new) if hasattr(old, "_make") else new
        for old, new in zip(picture.tile, tiles, strict=True)
    ]
    return np.asarray(picture)
