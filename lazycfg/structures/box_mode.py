"""The ways to write a box as numbers, and the conversion between them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import IntEnum, unique
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

__all__ = ["BoxMode"]

BoxT = TypeVar("BoxT", Tensor, np.ndarray, list[float], tuple[float, ...])


@unique
class BoxMode(IntEnum):
    """How the numbers of a box are to be read. The values appear in saved datasets and never change."""

    XYXY_ABS = 0
    """(x0, y0, x1, y1) in pixels."""
    XYWH_ABS = 1
    """(x0, y0, width, height) in pixels, as in COCO files."""
    XYXY_REL = 2
    """(x0, y0, x1, y1) in [0, 1], relative to the size of the image."""
    XYWH_REL = 3
    """(x0, y0, width, height) in [0, 1], relative to the size of the image."""
    XYWHA_ABS = 4
    """(xc, yc, width, height, angle): centre and size in pixels, counter-clockwise angle in degrees."""

    @staticmethod
    def convert(
        box: BoxT,
        from_mode: BoxMode,
        to_mode: BoxMode,
        *,
        image_size: tuple[int, int] | None = None,
    ) -> BoxT:
        """Rewrite boxes in another mode.

        Args:
            box: one box as a list or tuple of 4 or 5 numbers, or an array or tensor (..., 4 or 5).
            from_mode, to_mode: what ``box`` is and what it shall become. A rotated box becomes the smallest
                upright box around it; an upright box becomes a rotated one of angle 0.
            image_size: (height, width) in pixels, needed only by the relative modes.

        Returns:
            the same kind of object as ``box``; the input is not changed.

        Raises:
            ValueError: wrong number of coordinates, or a relative mode without ``image_size``.
        """
        from_mode, to_mode = BoxMode(from_mode), BoxMode(to_mode)
        length = len(box) if isinstance(box, (list, tuple)) else box.shape[-1]
        expected = 5 if from_mode == BoxMode.XYWHA_ABS else 4
        if length != expected:
            raise ValueError(f"a box in mode {from_mode.name} has {expected} numbers, got {length}")
        if from_mode == to_mode:
            return _copy(box)

        if isinstance(box, (list, tuple)):
            columns: Sequence[Any] = box
            ops = _SCALAR
        else:
            wide = box.double() if isinstance(box, Tensor) else np.asarray(box, dtype=np.float64)
            columns = [wide[..., i] for i in range(length)]
            ops = _TENSOR if isinstance(box, Tensor) else _ARRAY

        x0, y0, x1, y1, angle = _to_corners(columns, from_mode, ops, image_size)
        out = _from_corners(x0, y0, x1, y1, angle, to_mode, image_size)
        if isinstance(box, list):
            return out
        if isinstance(box, tuple):
            return tuple(out)
        if isinstance(box, Tensor):
            return torch.stack(out, dim=-1).to(box.dtype)
        return np.stack(out, axis=-1).astype(box.dtype)


class _Ops:
    """The few functions that differ between numbers, arrays and tensors."""

    def __init__(self, cos: Callable[..., Any], sin: Callable[..., Any]) -> None:
        self.cos, self.sin = cos, sin


_SCALAR = _Ops(math.cos, math.sin)
_ARRAY = _Ops(np.cos, np.sin)
_TENSOR = _Ops(torch.cos, torch.sin)


def _copy(box: BoxT) -> BoxT:
    if isinstance(box, Tensor):
        return box.clone()
    if isinstance(box, np.ndarray):
        return box.copy()
    return type(box)(box)


def _size(mode: BoxMode, image_size: tuple[int, int] | None) -> tuple[int, int]:
    if image_size is None:
        raise ValueError(f"{mode.name} is relative to the image: pass image_size=(height, width)")
    return image_size


def _to_corners(
    c: Sequence[Any], mode: BoxMode, ops: _Ops, image_size: tuple[int, int] | None
) -> tuple[Any, ...]:
    """Return the corners (x0, y0, x1, y1) in pixels of the upright box."""
    if mode == BoxMode.XYWHA_ABS:
        xc, yc, w, h, degrees = c
        theta = degrees * (math.pi / 180.0)
        cos, sin = abs(ops.cos(theta)), abs(ops.sin(theta))
        half_w, half_h = (cos * w + sin * h) / 2, (cos * h + sin * w) / 2
        return xc - half_w, yc - half_h, xc + half_w, yc + half_h, degrees
    x0, y0, x1, y1 = c
    if mode in (BoxMode.XYWH_ABS, BoxMode.XYWH_REL):
        x1, y1 = x0 + x1, y0 + y1
    if mode in (BoxMode.XYXY_REL, BoxMode.XYWH_REL):
        height, width = _size(mode, image_size)
        x0, y0, x1, y1 = x0 * width, y0 * height, x1 * width, y1 * height
    return x0, y0, x1, y1, x0 * 0.0


def _from_corners(
    x0: Any,
    y0: Any,
    x1: Any,
    y1: Any,
    angle: Any,
    mode: BoxMode,
    image_size: tuple[int, int] | None,
) -> list[Any]:
    if mode == BoxMode.XYWHA_ABS:
        return [(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0, angle]
    if mode in (BoxMode.XYXY_REL, BoxMode.XYWH_REL):
        height, width = _size(mode, image_size)
        x0, y0, x1, y1 = x0 / width, y0 / height, x1 / width, y1 / height
    if mode in (BoxMode.XYWH_ABS, BoxMode.XYWH_REL):
        return [x0, y0, x1 - x0, y1 - y0]
    return [x0, y0, x1, y1]
