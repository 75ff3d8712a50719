"""An image to draw on: masks, boxes, points and labels, in sizes that suit the image.

Pillow does the drawing; torchvision brings it along.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter

from lazycfg.visualization.colors import Color, ink_on
from lazycfg.visualization.fonts import drawable, font_for

__all__ = ["Canvas", "as_rgb"]

_READABLE = 400  # shorter side, in pixels, from which on text has room
_LARGE = 2000  # longer side, in pixels, beyond which nothing is enlarged
_LARGEST = 4000  # longer side, in pixels, of what is drawn if no scale is given
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
            labels are readable, and brings the longer side of huge ones to 4,000 pixels. Coordinates are
            always those of the image.
        font: a font file for the labels; None takes one that has their letters.
    """

    def __init__(
        self, image: Any, scale: float | None = None, *, font: str | os.PathLike[str] | None = None
    ) -> None:
        pixels = as_rgb(image)
        height, width = pixels.shape[:2]
        self.size = (height, width)
        if scale is None:
            wanted = -(-_READABLE // max(1, min(height, width)))
            scale = float(max(1, min(wanted, 8, _LARGE // max(1, height, width))))
            scale = min(scale, _LARGEST / max(1, height, width))
        self.scale = scale
        self.font = font
        picture = Image.fromarray(pixels)
        if scale != 1:
            size = max(1, round(width * scale)), max(1, round(height * scale))
            picture = picture.resize(size, Image.Resampling.BICUBIC, reducing_gap=3 if scale < 0.5 else None)
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

    @property
    def height(self) -> int:
        """Return the height of the image that is drawn on, in its pixels."""
        return self.size[0]

    @property
    def width(self) -> int:
        """Return the width of the image that is drawn on, in its pixels."""
        return self.size[1]

    def get_image(self) -> np.ndarray:
        """Return the drawing as it is now, (H, W, 3) uint8, RGB."""
        return self.image

    def save(self, filepath: str | os.PathLike[str]) -> None:
        """Write the drawing in the format that the suffix names."""
        self._picture.save(filepath)

    def reset_image(self, image: Any) -> None:
        """Put another image of the same size in the place of the drawing; see `as_rgb`.

        Raises:
            ValueError: another size.
        """
        pixels = as_rgb(image)
        if pixels.shape[:2] != self.size:
            raise ValueError(f"expected an image (height, width) = {self.size}, got {pixels.shape[:2]}")
        self._picture = Image.fromarray(pixels).resize(self._picture.size, Image.Resampling.BICUBIC)
        self._labels.clear()
        self._taken[:] = False

    def _repr_png_(self) -> bytes:
        """Return the drawing as PNG, for a notebook."""
        buffer = io.BytesIO()
        self._picture.save(buffer, format="png")
        return buffer.getvalue()

    # -- drawing

    def mask(
        self,
        mask: np.ndarray,
        color: Color,
        *,
        y0: int = 0,
        x0: int = 0,
        alpha: float = 0.45,
        edge: Color | None = None,
    ) -> None:
        """Tint a region and draw its outline.

        Args:
            mask: (h, w) bool, a window of the image.
            color: of the region.
            y0, x0: its upper left pixel.
            alpha: from 0, transparent, to 1.
            edge: the colour of the outline, if it is another.
        """
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if len(rows) == 0:
            return
        # A pixel of outside around it, so that resizing and the outline end properly.
        pad = 1 if self.scale >= 1 else math.ceil(1 / self.scale) + 1
        window = np.pad(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], pad)
        top, left = y0 + rows[0] - pad, x0 + columns[0] - pad
        region = Image.fromarray(window.astype(np.uint8) * 255)
        corner = round(left * self.scale), round(top * self.scale)
        if self.scale != 1:
            size = round(window.shape[1] * self.scale), round(window.shape[0] * self.scale)
            region = region.resize(size, Image.Resampling.BILINEAR).point(lambda value: 255 * (value >= 128))
        inner = region.filter(ImageFilter.MinFilter(2 * self.line_width + 1))
        is_in, is_inner = np.asarray(region) > 0, np.asarray(inner) > 0
        if edge is None or edge == color:
            self._lay(color, np.where(is_in, np.where(is_inner, alpha, max(alpha, 0.9)), 0.0), corner)
        else:
            self._lay(color, is_inner * alpha, corner)
            self._lay(edge, (is_in & ~is_inner) * 0.9, corner)

    def tint(self, mask: np.ndarray, color: Color, *, alpha: float = 0.55) -> None:
        """Tint a region of the whole image, without outline: (H, W), bool or strengths 0..1."""
        strength = np.asarray(mask, dtype=np.float64)
        weights = Image.fromarray(np.rint(strength * round(alpha * 255)).astype(np.uint8))
        if weights.size != self._picture.size:
            how = Image.Resampling.NEAREST if mask.dtype == bool else Image.Resampling.BILINEAR
            weights = weights.resize(self._picture.size, how)
        self._picture.paste(color, (0, 0), weights)

    def grey(self, keep: np.ndarray | None = None) -> None:
        """Turn the drawing gray, except where ``keep`` (H, W), bool, is true."""
        grey = self._picture.convert("L").convert("RGB")
        if keep is not None:
            inside = Image.fromarray(keep.astype(np.uint8) * 255)
            grey.paste(self._picture, (0, 0), inside.resize(self._picture.size, Image.Resampling.NEAREST))
        self._picture = grey

    def paint(self, pixels: np.ndarray, weights: np.ndarray, *, y0: int = 0, x0: int = 0) -> None:
        """Lay pixels over the drawing, in pixels of the canvas: those of the image times `scale`.

        Args:
            pixels: (h, w, 3) uint8, RGB.
            weights: (h, w), from 0, which leaves the drawing as it is, to 1.
            y0, x0: where the upper left pixel comes to lie; what is outside is cut off.
        """
        strength = Image.fromarray(np.rint(255 * np.asarray(weights, dtype=np.float64)).astype(np.uint8))
        self._picture.paste(Image.fromarray(np.ascontiguousarray(pixels)), (x0, y0), strength)

    def box(self, box: Sequence[float], color: Color, *, dashed: bool = False, alpha: float = 1.0) -> None:
        """Draw the outline of a box, XYXY in pixels."""
        x0, y0, x1, y1 = self._to_canvas(box)
        ink = _with_alpha(color, alpha)
        if dashed:
            for start, end in (
                ((x0, y0), (x1, y0)),
                ((x1, y0), (x1, y1)),
                ((x0, y1), (x1, y1)),
                ((x0, y0), (x0, y1)),
            ):
                self._dashes(start, end, ink)
        else:
            self._draw().rectangle((x0, y0, x1, y1), outline=ink, width=self.line_width)

    def line(
        self,
        start: Sequence[float],
        end: Sequence[float],
        color: Color,
        *,
        width: float | None = None,
        dashed: bool = False,
    ) -> None:
        """Draw a line between two points (x, y); its width is in pixels of the canvas."""
        first, last = ((float(x) * self.scale, float(y) * self.scale) for x, y in (start, end))
        thickness = self.line_width * 2 if width is None else max(1, round(width))
        if dashed:
            self._dashes(first, last, color, thickness)
        else:
            self._draw().line([first, last], fill=color, width=thickness)

    def polygon(
        self,
        points: Sequence[Sequence[float]],
        color: Color,
        *,
        fill: Color | None = None,
        alpha: float = 0.5,
    ) -> None:
        """Draw the outline of a polygon of points (x, y), and fill it if there is a colour to do so."""
        scaled = [(float(x) * self.scale, float(y) * self.scale) for x, y in points]
        if fill is not None and len(scaled) > 2:
            self._draw().polygon(scaled, fill=_with_alpha(fill, alpha))
        self._draw().line([*scaled, scaled[0]], fill=color, width=self.line_width)

    def rotated_box(
        self, box: Sequence[float], color: Color, *, dashed: bool = False, alpha: float = 1.0
    ) -> None:
        """Draw the outline of a box (xc, yc, width, height, degrees counter-clockwise); its top is dashed."""
        scaled = [(x * self.scale, y * self.scale) for x, y in rotated_corners(box)]
        ink = _with_alpha(color, alpha)
        for k, (start, end) in enumerate(zip(scaled, scaled[1:] + scaled[:1], strict=True)):
            if dashed or k == 0:
                self._dashes(start, end, ink)
            else:
                self._draw().line([start, end], fill=ink, width=self.line_width)

    def dot(self, point: Sequence[float], color: Color, *, radius: float | None = None) -> None:
        """Draw a point (x, y), with a dark rim; its radius is in pixels of the canvas."""
        radius = self.line_width * 2 if radius is None else radius
        x, y = (float(value) * self.scale for value in point[:2])
        self._draw().ellipse((x - radius, y - radius, x + radius, y + radius), fill=color, outline=(0, 0, 0))

    def text(
        self,
        text: str,
        position: Sequence[float],
        color: Color,
        *,
        size: float | None = None,
        align: Literal["left", "center", "right"] = "center",
        rotation: float = 0.0,
    ) -> None:
        """Write text below a point, on a dark ground.

        Args:
            text: one line.
            position: (x, y) in pixels of the image: the middle of the upper edge, or its left or right end.
            color: of the letters; dark ones are brightened.
            size: height of the letters, in pixels of the canvas; None: that of labels.
            align: what of the text is at the point.
            rotation: degrees, counter-clockwise, around the middle of the text.
        """
        size = self.font_size if size is None else max(1, round(size))
        text = drawable(text, self.font)
        font = font_for(text, size, self.font)
        width, height, pad = *self._text_size(text, size), max(1, size // 6)
        plate = Image.new("RGBA", (max(1, math.ceil(width)), max(1, math.ceil(height))), (0, 0, 0, 200))
        ink = color if sum(color) > 150 else (255, 255, 255)
        ImageDraw.Draw(plate).text((pad, pad / 2), text, fill=ink, font=font)
        x, y = (float(value) * self.scale for value in position[:2])
        left = x - plate.width * {"left": 0.0, "center": 0.5, "right": 1.0}[align]
        middle = left + plate.width / 2, y + plate.height / 2
        if rotation:
            plate = plate.rotate(rotation, expand=True, resample=Image.Resampling.BICUBIC)
        corner = round(middle[0] - plate.width / 2), round(middle[1] - plate.height / 2)
        self._picture.paste(plate, corner, plate)

    def label(
        self,
        text: str,
        box: Sequence[float],
        color: Color,
        *,
        centred: bool = False,
        only_where_free: bool = False,
    ) -> None:
        """Write a label at a box (or in its middle), inside the image, over no other label if possible.

        Args:
            text: one line; shortened where it is wider than the image.
            box: XYXY in pixels.
            color: of the ground; the letters are black or white.
            centred: whether to try the middle of the box first.
            only_where_free: leave the label out where more than half of it would cover others.
        """
        text = drawable(text, self.font)
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
        covered, _, place = min(places, key=lambda found: found[:2])
        if only_where_free and covered > self._taken[_cells(place)].size / 2:
            return
        self._labels.append(place)
        self._taken[_cells(place)] = True
        self._draw().rectangle(place, fill=(*color, 215))
        self._draw().text((place[0] + pad, place[1] + pad / 2), text, fill=ink_on(color), font=font)

    def label_size(self, text: str) -> tuple[float, float]:
        """Return (width, height) of a label, in pixels of the canvas."""
        return self._text_size(text, self.font_size)

    # -- helpers

    def _text_size(self, text: str, size: int) -> tuple[float, float]:
        font = font_for(text, size, self.font)
        pad = max(1, size // 6)
        ascent, descent = font.getmetrics() if hasattr(font, "getmetrics") else (size, 2)
        return font.getlength(text) + 2 * pad, ascent + descent + pad

    def _lay(self, color: Color, strength: np.ndarray, corner: tuple[int, int]) -> None:
        """Mix a colour into the drawing, as strong (h, w) as 0..1 says, from a corner (x, y) on."""
        weights = Image.fromarray(np.rint(strength * 255).astype(np.uint8))
        self._picture.paste(color, (*corner, corner[0] + weights.width, corner[1] + weights.height), weights)

    def _draw(self) -> ImageDraw.ImageDraw:
        return ImageDraw.Draw(self._picture, "RGBA")

    def _to_canvas(self, box: Sequence[float]) -> tuple[float, float, float, float]:
        """To the pixels that the box touches, within the image."""
        width, height = self._picture.size
        x0, y0, x1, y1 = (float(value) * self.scale for value in box)
        x0, y0 = min(max(x0, 0), width - 1), min(max(y0, 0), height - 1)
        return x0, y0, max(x0, min(x1, width) - 1), max(y0, min(y1, height) - 1)

    def _dashes(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        color: tuple[int, ...],
        width: int | None = None,
    ) -> None:
        length = max(abs(end[0] - start[0]), abs(end[1] - start[1]))
        step = 4 * self.line_width + 2
        draw = self._draw()
        for at in np.arange(0, max(length, 1), 2 * step):
            ends = at / max(length, 1), min(at + step, length) / max(length, 1)
            points = [tuple(a + (b - a) * t for a, b in zip(start, end, strict=True)) for t in ends]
            draw.line(points, fill=color, width=self.line_width if width is None else width)


def _with_alpha(color: Color, alpha: float) -> tuple[int, ...]:
    return color if alpha >= 1 else (*color, round(255 * alpha))


def _cells(place: Sequence[float]) -> tuple[slice, slice]:
    """Return the squares that a label touches."""
    x0, y0, x1, y1 = place
    rows = slice(int(y0) // _CELL, -(-math.ceil(y1) // _CELL))
    return rows, slice(int(x0) // _CELL, -(-math.ceil(x1) // _CELL))
