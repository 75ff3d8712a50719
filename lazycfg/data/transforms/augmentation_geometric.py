"""Random flips, resizes, rotations and extents."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Literal

import numpy as np
from torchvision.transforms import InterpolationMode

from .augmentation import AugInput, Augmentation, from_image
from .geometric import (
    ExtentTransform,
    HFlipTransform,
    ResizeTransform,
    RotationTransform,
    VFlipTransform,
    as_interpolation,
)
from .transform import NoOpTransform, Transform

SampleStyle = Literal["range", "choice"]


def _check_style(name: str, style: str, count: int) -> None:
    if style not in ("range", "choice"):
        raise ValueError(f'{name}: sample_style must be "range" or "choice", got {style!r}')
    if style == "range" and count != 2:
        raise ValueError(f'{name}: sample_style="range" needs two values (lowest, highest), got {count}')


class RandomFlip(Augmentation):
    """Mirror with probability `prob`: horizontally or vertically (use two of them for both)."""

    def __init__(self, prob: float = 0.5, *, horizontal: bool = True, vertical: bool = False) -> None:
        if horizontal == vertical:
            raise ValueError("RandomFlip: choose one of horizontal and vertical; for both use two RandomFlip")
        self.prob = prob
        self.horizontal = horizontal
        self.vertical = vertical

    @from_image
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> Transform:
        """Return a flip, or, with probability 1 - `prob`, a transform that does nothing."""
        height, width = aug_input.image_size
        if rng.random() >= self.prob:
            return NoOpTransform()
        return HFlipTransform(width) if self.horizontal else VFlipTransform(height)


class Resize(Augmentation):
    """Resize to a fixed `shape`: (height, width), or one number for both."""

    def __init__(
        self, shape: int | tuple[int, int], interp: InterpolationMode | str = InterpolationMode.BILINEAR
    ) -> None:
        self.shape = (shape, shape) if isinstance(shape, int) else (int(shape[0]), int(shape[1]))
        self.interp = as_interpolation(interp)

    @from_image
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> Transform:
        """Return a resize to the given shape."""
        return ResizeTransform(*aug_input.image_size, *self.shape, self.interp)


class RandomResize(Augmentation):
    """Resize to one of `shape_list`, each (height, width)."""

    def __init__(
        self,
        shape_list: Sequence[tuple[int, int]],
        interp: InterpolationMode | str = InterpolationMode.BILINEAR,
    ) -> None:
        self.shape_list = [(int(h), int(w)) for h, w in shape_list]
        self.interp = as_interpolation(interp)

    @from_image
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> Transform:
        """Return a resize to one of the given shapes."""
        shape = self.shape_list[int(rng.integers(len(self.shape_list)))]
        return ResizeTransform(*aug_input.image_size, *shape, self.interp)


class ResizeShortestEdge(Augmentation):
    """Resize so that the shorter side has a drawn length and the longer one does not exceed `max_size`.

    Args:
        short_edge_length: pixels; with sample_style="choice" one of these is taken, with "range" a whole
            number between the two (both included). One number stands for a list of one.
        max_size: longest allowed side; the image is scaled down as a whole when it would be longer.
    """

    def __init__(
        self,
        short_edge_length: int | Sequence[int],
        max_size: int = sys.maxsize,
        sample_style: SampleStyle = "range",
        interp: InterpolationMode | str = InterpolationMode.BILINEAR,
    ) -> None:
        if isinstance(short_edge_length, int):
            short_edge_length = (short_edge_length, short_edge_length)
        self.short_edge_length = tuple(int(s) for s in short_edge_length)
        _check_style("ResizeShortestEdge", sample_style, len(self.short_edge_length))
        self.max_size = max_size
        self.sample_style = sample_style
        self.interp = as_interpolation(interp)

    @from_image
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> Transform:
        """Return a resize that brings the shorter side to a drawn length, and the longer one to at most
        `max_size`.
        """
        h, w = aug_input.image_size
        if self.sample_style == "range":
            size = int(rng.integers(self.short_edge_length[0], self.short_edge_length[1] + 1))
        else:
            size = self.short_edge_length[int(rng.integers(len(self.short_edge_length)))]
        if size == 0:
            return NoOpTransform()
        return ResizeTransform(h, w, *self.get_output_shape(h, w, size, self.max_size), self.interp)

    @staticmethod
    def get_output_shape(
        old_h: int, old_w: int, short_edge_length: int, max_size: int = sys.maxsize
    ) -> tuple[int, int]:
        """Return (height, width) after the resize, each at least 1 pixel."""
        scale = short_edge_length / min(old_h, old_w)
        new_h, new_w = (
            (short_edge_length, scale * old_w) if old_h < old_w else (scale * old_h, short_edge_length)
        )
        longest = max(new_h, new_w)
        if longest > max_size:
            new_h, new_w = new_h * (max_size / longest), new_w * (max_size / longest)
        return max(1, int(new_h + 0.5)), max(1, int(new_w + 0.5))


class ResizeScale(Augmentation):
    """Fit into a target size times a drawn scale, aspect ratio kept: the first half of large-scale jitter
    (Ghiasi et al., "Simple Copy-Paste", 2021); `FixedSizeCrop` is the second.

    Args:
        min_scale, max_scale: the scale is drawn evenly between them.
        target_height, target_width: pixels.
    """

    def __init__(
        self,
        min_scale: float,
        max_scale: float,
        target_height: int,
        target_width: int,
        interp: InterpolationMode | str = InterpolationMode.BILINEAR,
    ) -> None:
        self.min_scale = min_scale
        self.max_scale = max_scale
        self.target_height = target_height
        self.target_width = target_width
        self.interp = as_interpolation(interp)

    @from_image
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> Transform:
        """Return a resize that fits the image into the target size times a drawn scale."""
        h, w = aug_input.image_size
        scale = rng.uniform(self.min_scale, self.max_scale)
        factor = min(self.target_height * scale / h, self.target_width * scale / w)
        new_h, new_w = max(1, round(h * factor)), max(1, round(w * factor))
        return ResizeTransform(h, w, new_h, new_w, self.interp)


class RandomRotation(Augmentation):
    """Rotate counter-clockwise by a drawn angle.

    Args:
        angle: degrees: (lowest, highest) with sample_style="range", a list of angles with "choice".
        expand: enlarge the canvas so that nothing is cut off.
        center: relative to the image, ((x_min, y_min), (x_max, y_max)) for "range" or a list of (x, y) for
            "choice"; None: the middle. Without effect when `expand`.
    """

    def __init__(
        self,
        angle: float | Sequence[float],
        expand: bool = True,
        center: Sequence[Sequence[float]] | None = None,
        sample_style: SampleStyle = "range",
        interp: InterpolationMode | str = InterpolationMode.BILINEAR,
    ) -> None:
        if isinstance(angle, int | float):
            angle = (angle, angle)
        self.angle = tuple(float(a) for a in angle)
        _check_style("RandomRotation", sample_style, len(self.angle))
        self.expand = expand
        self.center = None if center is None else tuple((float(x), float(y)) for x, y in center)
        self.sample_style = sample_style
        self.interp = as_interpolation(interp)

    @from_image
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> Transform:
        """Return a rotation by a drawn angle about a drawn centre."""
        h, w = aug_input.image_size
        center = None
        if self.sample_style == "range":
            angle = float(rng.uniform(self.angle[0], self.angle[1]))
            if self.center is not None:
                low, high = self.center
                center = (float(rng.uniform(low[0], high[0])), float(rng.uniform(low[1], high[1])))
        else:
            angle = self.angle[int(rng.integers(len(self.angle)))]
            if self.center is not None:
                center = self.center[int(rng.integers(len(self.center)))]
        if angle % 360 == 0:
            return NoOpTransform()
        if center is not None:
            center = (center[0] * w, center[1] * h)
        return RotationTransform(h, w, angle, self.expand, center, self.interp)


class RandomExtent(Augmentation):
    """Cut a randomly scaled and shifted rectangle, which may reach beyond the image (filled with 0).

    Args:
        scale_range: (lowest, highest) size of the rectangle relative to the image.
        shift_range: (x, y): the middle moves by up to half of these, relative to the image.
    """

    def __init__(self, scale_range: tuple[float, float], shift_range: tuple[float, float]) -> None:
        self.scale_range = scale_range
        self.shift_range = shift_range

    @from_image
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> Transform:
        """Return an extent of drawn size and place."""
        h, w = aug_input.image_size
        scale = rng.uniform(*self.scale_range)
        middle_x = w * (0.5 + self.shift_range[0] * (rng.random() - 0.5))
        middle_y = h * (0.5 + self.shift_range[1] * (rng.random() - 0.5))
        half_w, half_h = 0.5 * w * scale, 0.5 * h * scale
        rect = (middle_x - half_w, middle_y - half_h, middle_x + half_w, middle_y + half_h)
        return ExtentTransform(rect, (max(1, int(h * scale)), max(1, int(w * scale))))
