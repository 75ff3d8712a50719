"""Segment ids in the colours of an image, as COCO's panoptic PNG files hold them."""

import numpy as np

__all__ = ["id2rgb", "rgb2id"]


def rgb2id(colors: np.ndarray) -> np.ndarray:
    """Ids (H, W) int64 of colours (H, W, 3): red + 256 green + 65536 blue."""
    return colors.astype(np.int64) @ np.array([1, 256, 65536])


def id2rgb(ids: np.ndarray) -> np.ndarray:
    """Colours (H, W, 3) uint8 of ids (H, W) below 2^24."""
    return np.stack([ids >> shift & 255 for shift in (0, 8, 16)], axis=-1).astype(np.uint8)
