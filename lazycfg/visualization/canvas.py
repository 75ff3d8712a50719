"""An image to draw on: masks, boxes, points and labels, in sizes that suit the image.

Pillow does the drawing; torchvision brings it along.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter

from lazycfg.visualization.colors import Color, ink_on
from lazycfg.visualization.fonts import font_for

__all__ = ["Canvas", "as_rgb"]

_READABLE = 400  # shorter side, in pixels, from which on text has room
_LARGE = 2000  # longer side, in pixels, beyond which nothing is enlarged
_CELL = 4


def as_rgb(image: Any) -> np.ndarray:
    """Return an image as uint8 (H, W, 3).

    Args:
        image: RGB; an array (H, W, 3) or (H, W), a tensor (3, H, W) or (H, W, 3), or a Pillow image; floats
            in 0..255 (0..1 if none exceeds 1). A tensor (3, N, 3) is taken as (3, H, W).

    Raises:
        ValueError: another shape
    """
    if isinstance(image, Image.Image):
        return np.asarray(image.convert("RGB"))
    array = image.detach().cpu() if isinstance(image, torch.Tensor) else np.asarray(image)
    if isinstance(array, torch.Tensor):
        if array.ndim == 3 and array.shape[0] == 3:  # also an image 3 pixels wide: tensors are (3, H, W)
            array = array.permute(1, 2, 0)
        array = array.float().numpy() if array.is_floating_point() else array.numpy()
    if array.ndim == 2:
        array = np.repeat(array[:, :, None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] != 3:
        raise ValueError(f"expected an RGB image (H, W, 3), got shape {tuple(array.shape)}")
    if array.dtype != np.uint8:
        array = array * 255 if array.dtype.kind == "f" and array.size and array.max() <= 1 else array
        array = np.clip(np.rint(array), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(array)


def rotated_corners(box: Sequence[float]) -> list[tuple[float, float]]:
    """Return the corners (x, y) of a box (xc, yc, width, height, degrees counter-clockwise), clockwise from
    its upper left one.
    """
    x, y, w, h, angle = (float(value) for value in box)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    corners = [(-w / 2, -h / 2), (w / 2, -h / 2), (w / 2, h / 2), (-w / 2, h / 2)]
    return [(x + u * cos + v * sin, y - u * sin + v * cos) for u, v in corners]


class Canvas:
    """Draw masks first, then lines, then labels: each covers what was drawn before.

    Args:
        image: the image to begin with; see `as_rgb`.
        scale: how much larger than the image to draw; None enlarges small images by a whole factor, until
            labels are readable. Coordinates are always those of the image.
        font: a font file for the labels; None takes one that has their letters.
    """

    def __init__(
        self, image: Any, *, scale: float | None = None, font: str | os.PathLike[str] | None = None
    ) -> None:
        pixels = as_rgb(image)
        height, width = pixels.shape[:2]
        self.size = (height, width)
        if scale is None:
            wanted = -(-_READABLE // max(1, min(height, width)))
            scale = float(max(1, min(wanted, 8, _LARGE // max(1, height, width))))
        self.scale = scale
        self.font = font
        picture = Image.fromarray(pixels)
        if scale != 1:
            size = max(1, round(width * scale)), max(1, round(height * scale))
            picture = picture.resize(size, Image.Resampling.BICUBIC)
        self._picture = picture
        short = min(picture.size)
        self.line_width = max(1, round(short / 300))
        self.font_size = int(min(max(short / 32, 10), 36))
        self._labels: list[tuple[float, float, float, float]] = []
        # Which squares of _CELL pixels have labels: so that placing one does not look at all others.
        self._taken = np.zeros([side // _CELL + 1 for side in reversed(picture.size)], dtype=bool)

    @classmethod
    def on(
        cls, image: Any, *, scale: float | None = None, font: str | os.PathLike[str] | None = None
    ) -> Canvas:
        """Return a canvas on an image; a canvas is drawn on as it is."""
        return image if isinstance(image, Canvas) else cls(image, scale=scale, font=font)

    @property
    def image(self) -> np.ndarray:
        """Return the drawing, (height * scale, width * scale, 3) uint8, RGB."""
        return np.asarray(self._picture).copy()

    @property
    def image_size(self) -> tuple[int, int]:
        """Return (height, width) of `image`."""
        return self._picture.height, self._picture.width

    # -- drawing

    def mask(self, mask: np.ndarray, color: Color, *, y0: int = 0, x0: int = 0, alpha: float = 0.45) -> None:
        """Tint a region and draw its outline.

        Args:
            mask: (h, w) bool, a window of the image.
            y0, x0: its upper left pixel.
        """
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if len(rows) == 0:
            return
        # One pixel of outside around it, so that enlarging and the outline end properly.
        window = np.pad(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], 1)
        top, left = y0 + rows[0] - 1, x0 + columns[0] - 1
        region = Image.fromarray(window.astype(np.uint8) * 255)
        corner = round(left * self.scale), round(top * self.scale)
        if self.scale != 1:
            size = round(window.shape[1] * self.scale), round(window.shape[0] * self.scale)
            region = region.resize(size, Image.Resampling.BILINEAR).point(lambda value: 255 * (value >= 128))
        inner = region.filter(ImageFilter.MinFilter(2 * self.line_width + 1))
        strength = np.where(np.asarray(region) > 0, np.where(np.asarray(inner) > 0, alpha, 0.9), 0.0)
        weights = Image.fromarray(np.rint(strength * 255).astype(np.uint8))
        self._picture.paste(color, (*corner, corner[0] + weights.width, corner[1] + weights.height), weights)

    def tint(self, mask: np.ndarray, color: Color, *, alpha: float = 0.55) -> None:
        """Tint a region of the whole image (H, W), without outline."""
        weights = Image.fromarray(mask.astype(np.uint8) * round(alpha * 255))
        if weights.size != self._picture.size:
            weights = weights.resize(self._picture.size, Image.Resampling.NEAREST)
        self._picture.paste(color, (0, 0), weights)

    def paint(self, pixels: np.ndarray, weights: np.ndarray, *, y0: int = 0, x0: int = 0) -> None:
        """Lay pixels over the drawing, in pixels of the canvas: those of the image times `scale`.

        Args:
            pixels: (h, w, 3) uint8, RGB.
            weights: (h, w), from 0, which leaves the drawing as it is, to 1.
            y0, x0: where the upper left pixel comes to lie; what is outside is cut off.
        """
        strength = Image.fromarray(np.rint(255 * np.asarray(weights, dtype=np.float64)).astype(np.uint8))
        self._picture.paste(Image.fromarray(np.ascontiguousarray(pixels)), (x0, y0), strength)

    def box(self, box: Sequence[float], color: Color, *, dashed: bool = False) -> None:
        """Draw the outline of a box, XYXY in pixels."""
        x0, y0, x1, y1 = self._to_canvas(box)
        if dashed:
            for start, end in (
                ((x0, y0), (x1, y0)),
                ((x1, y0), (x1, y1)),
                ((x0, y1), (x1, y1)),
                ((x0, y0), (x0, y1)),
            ):
                self._dashes(start, end, color)
        else:
            self._draw().rectangle((x0, y0, x1, y1), outline=color, width=self.line_width)

    def line(self, start: Sequence[float], end: Sequence[float], color: Color) -> None:
        """Draw a line between two points (x, y)."""
        points = [(float(x) * self.scale, float(y) * self.scale) for x, y in (start, end)]
        self._draw().line(points, fill=color, width=self.line_width * 2)

    def polygon(self, points: Sequence[Sequence[float]], color: Color) -> None:
        """Draw the outline of a polygon of points (x, y)."""
        scaled = [(float(x) * self.scale, float(y) * self.scale) for x, y in points]
        self._draw().line([*scaled, scaled[0]], fill=color, width=self.line_width)

    def rotated_box(self, box: Sequence[float], color: Color, *, dashed: bool = False) -> None:
        """Draw the outline of a box (xc, yc, width, height, degrees counter-clockwise); its top is dashed."""
        scaled = [(x * self.scale, y * self.scale) for x, y in rotated_corners(box)]
        for k, (start, end) in enumerate(zip(scaled, scaled[1:] + scaled[:1], strict=True)):
            if dashed or k == 0:
                self._dashes(start, end, color)
            else:
                self._draw().line([start, end], fill=color, width=self.line_width)

    def dot(self, point: Sequence[float], color: Color) -> None:
        """Draw a point (x, y), with a dark rim."""
        radius = self.line_width * 2
        x, y = (float(value) * self.scale for value in point[:2])
        self._draw().ellipse((x - radius, y - radius, x + radius, y + radius), fill=color, outline=(0, 0, 0))

    def label(self, text: str, box: Sequence[float], color: Color, *, centred: bool = False) -> None:
        """Write a label at a box (or in its middle), inside the image, over no other label if possible."""
        if not text:
            return
        font = font_for(text, self.font_size, self.font)
        picture_width, picture_height = self._picture.size
        while len(text) > 4 and self.label_size(text)[0] > picture_width:
            text = text[: max(4, int(len(text) * 0.8)) - 1].rstrip(" …") + "…"
        width, height = self.label_size(text)
        pad = max(1, self.font_size // 6)

        x0, y0, x1, y1 = self._to_canvas(box)
        inset = self.line_width
        candidates = [
            (x0, y0 - height), (x0 + inset, y0 + inset), (x0, y1 + 1), (x1 - width, y0 - height),
            (x0 + inset, y1 - height - inset), (x1 - width, y1 + 1), (x1 + 1, y0), (x0 - width - 1, y0),
        ]  # fmt: skip
        candidates.insert(0 if centred else len(candidates), ((x0 + x1 - width) / 2, (y0 + y1 - height) / 2))
        places = []
        for left, top in candidates:
            inside_left = min(max(left, 0), max(picture_width - width, 0))
            inside_top = min(max(top, 0), max(picture_height - height, 0))
            moved = abs(inside_left - left) + abs(inside_top - top)
            place = (inside_left, inside_top, inside_left + width, inside_top + height)
            places.append((int(self._taken[_cells(place)].sum()), moved > height, place))
        place = min(places, key=lambda found: found[:2])[2]
        self._labels.append(place)
        self._taken[_cells(place)] = True
        self._draw().rectangle(place, fill=(*color, 215))
        self._draw().text((place[0] + pad, place[1] + pad / 2), text, fill=ink_on(color), font=font)

    def label_size(self, text: str) -> tuple[float, float]:
        """Return (width, height) of a label, in pixels of the canvas."""
        font = font_for(text, self.font_size, self.font)
        pad = max(1, self.font_size // 6)
        ascent, descent = font.getmetrics() if hasattr(font, "getmetrics") else (self.font_size, 2)
        return font.getlength(text) + 2 * pad, ascent + descent + pad

    # -- helpers

    def _draw(self) -> ImageDraw.ImageDraw:
        return ImageDraw.Draw(self._picture, "RGBA")

    def _to_canvas(self, box: Sequence[float]) -> tuple[float, float, float, float]:
        """To the pixels that the box touches, within the image."""
        width, height = self._picture.size
        x0, y0, x1, y1 = (float(value) * self.scale for value in box)
        x0, y0 = min(max(x0, 0), width - 1), min(max(y0, 0), height - 1)
        return x0, y0, max(x0, min(x1, width) - 1), max(y0, min(y1, height) - 1)

    def _dashes(self, start: tuple[float, float], end: tuple[float, float], color: Color) -> None:
        length = max(abs(end[0] - start[0]), abs(end[1] - start[1]))
        step = 4 * self.line_width + 2
        draw = self._draw()
        for at in np.arange(0, max(length, 1), 2 * step):
            ends = at / max(length, 1), min(at + step, length) / max(length, 1)
            points = [tuple(a + (b - a) * t for a, b in zip(start, end, strict=True)) for t in ends]
            draw.line(points, fill=color, width=self.line_width)


def _cells(place: Sequence[float]) -> tuple[slice, slice]:
    """Return the squares that a label touches."""
    x0, y0, x1, y1 = place
    rows = slice(int(y0) // _CELL, -(-math.ceil(y1) // _CELL))
    return rows, slice(int(x0) // _CELL, -(-math.ceil(x1) // _CELL))
