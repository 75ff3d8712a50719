"""Masks of every form, as windows of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lazycfg.layers.mask_ops import paste_masks_in_boxes
from lazycfg.structures import ROIMasks
from lazycfg.structures.rasterize import pack_polygons, rasterize_windows
from lazycfg.structures.rle import decode_rle

__all__ = ["Window", "bounds", "mask_windows", "resized", "union"]

Window = tuple[np.ndarray, int, int]
"""A mask (h, w) bool, and the row and column of its upper left pixel in the image."""


def mask_windows(masks: Any, size: tuple[int, int], boxes: Tensor | None = None) -> list[Window | None]:
    """Return masks of an image as windows.

    Args:
        masks: `BitMasks`, `PolygonMasks`, `ROIMasks`; a tensor or array (N, H, W), of bools or scores; a
            tensor (N, 1, M, M) inside boxes; or a list of polygons, run-length encodings and arrays (H, W).
        size: (height, width) of the image.
        boxes: (N, 4), of masks inside boxes.

    Raises:
        ValueError: masks inside boxes come without boxes, or masks are of another size than the image.
    """
    if hasattr(masks, "polygons"):
        return _of_segmentations(masks.polygons, size)
    if isinstance(masks, (list, tuple)):
        return _of_segmentations(masks, size)
    values = masks if isinstance(masks, (Tensor, np.ndarray)) else masks.tensor
    values = torch.as_tensor(values).detach().cpu()
    if isinstance(masks, ROIMasks) or values.dim() == 4:
        if boxes is None:
            raise ValueError("masks inside boxes need the boxes, too")
        values = values[:, 0] if values.dim() == 4 else values
        crops = paste_masks_in_boxes(values, boxes, size)
        return [(crop.mask.numpy(), crop.y0, crop.x0) for crop in crops]
    if len(values) and values.shape[1:] != size:
        raise ValueError(f"masks of (height, width) = {tuple(values.shape[1:])} for an image of {size}")
    values = values > 0.5 if values.is_floating_point() else values != 0
    return [(mask, 0, 0) for mask in values.numpy()]


def _of_segmentations(segmentations: Sequence[Any], size: tuple[int, int]) -> list[Window | None]:
    """Return the masks of segmentations: polygons, a run-length encoding, or an array (H, W)."""
    result: list[Window | None] = [None] * len(segmentations)
    polygons: dict[int, list[np.ndarray]] = {}
    for index, segmentation in enumerate(segmentations):
        if segmentation is None or len(segmentation) == 0:
            continue
        if isinstance(segmentation, Mapping):
            result[index] = decode_rle(segmentation), 0, 0
        elif isinstance(segmentation, Tensor) or _is_mask(segmentation, size):
            mask = np.asarray(segmentation.cpu() if isinstance(segmentation, Tensor) else segmentation)
            if mask.shape != size:
                raise ValueError(f"mask {index} has (height, width) = {mask.shape}, the image {size}")
            result[index] = mask != 0, 0, 0
        else:
            polygons[index] = [np.asarray(polygon, dtype=np.float64).ravel() for polygon in segmentation]
    if polygons:
        windows = rasterize_windows(pack_polygons(list(polygons.values())), *size)
        for index, window in zip(polygons, windows, strict=True):
            result[index] = window
    return result


def _is_mask(segmentation: Any, size: tuple[int, int]) -> bool:
    """Return whether an array is a mask: it may hold the coordinates of polygons, too."""
    return isinstance(segmentation, np.ndarray) and (
        segmentation.shape == size or segmentation.dtype in (np.bool_, np.uint8)
    )


def resized(window: Window | None, size: tuple[int, int], wanted: tuple[int, int]) -> Window | None:
    """Return a mask of an image of one size as one of the image in another size."""
    if window is None:
        return None
    mask, y0, x0 = window
    whole = torch.zeros(size)
    whole[y0 : y0 + mask.shape[0], x0 : x0 + mask.shape[1]] = torch.from_numpy(mask.astype(np.float32))
    enlarged = torch.nn.functional.interpolate(
        whole[None, None], size=wanted, mode="bilinear", align_corners=False
    )
    return (enlarged[0, 0] > 0.5).numpy(), 0, 0


def bounds(window: Window) -> tuple[float, float, float, float]:
    """Return the box around a mask, XYXY."""
    mask, y0, x0 = window
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        return float(x0), float(y0), float(x0), float(y0)
    return float(x0 + columns[0]), float(y0 + rows[0]), float(x0 + columns[-1] + 1), float(y0 + rows[-1] + 1)


def union(windows: Sequence[Window | None], size: tuple[int, int]) -> np.ndarray:
    """Return (H, W) bool: where any of the masks is."""
    whole = np.zeros(size, dtype=bool)
    for window in windows:
        if window is not None:
            mask, y0, x0 = window
            whole[y0 : y0 + mask.shape[0], x0 : x0 + mask.shape[1]] |= mask
    return whole
