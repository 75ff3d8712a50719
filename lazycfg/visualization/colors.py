"""Colours for classes and objects that can be told apart, and the text colour that is readable on them."""

from __future__ import annotations

import colorsys
import enum
import math
from typing import Any

from PIL import ImageColor

__all__ = ["Color", "ColorMode", "as_color", "colormap", "ink_on"]

Color = tuple[int, int, int]
"""Red, green, blue, 0..255."""

_LETTERS = {
    "r": "red", "g": "green", "b": "blue", "c": "cyan", "m": "magenta", "y": "yellow", "k": "black",
    "w": "white",
}  # fmt: skip


class ColorMode(enum.Enum):
    """How objects are colored."""

    IMAGE = 0
    """Each in a colour of its own: a shade of the colour of its class."""
    SEGMENTATION = 1
    """All of a class in its colour, nearly opaque."""
    IMAGE_BW = 2
    """As IMAGE, and what no mask covers is grey."""


def as_color(color: Any) -> Color:
    """Return a colour as three numbers 0..255.

    Args:
        color: a name ("red"), one of the letters "rgbcmykw", "#ff8000"; three whole numbers 0..255, or three
            floating point numbers 0..1. A fourth number, opacity, is left out.

    Raises:
        ValueError: it is none of these, or it may mean two: (1, 0, 0) is red or nearly black.
    """
    if isinstance(color, str):
        red, green, blue = ImageColor.getrgb(_LETTERS.get(color, color))[:3]
        return red, green, blue
    numbers = [value.item() if hasattr(value, "item") else value for value in color][:3]
    if len(numbers) != 3 or not all(0 <= value <= 255 for value in numbers):
        raise ValueError(f"color={color!r}: expected a name, three numbers 0..255, or three floats 0..1")
    if all(isinstance(value, int) for value in numbers):
        if max(numbers) == 1:
            floats, whole = tuple(map(float, numbers)), tuple(255 * value for value in numbers)
            raise ValueError(
                f"color={tuple(numbers)} may mean two colours: write {floats} or {whole} (three floats are "
                "0..1, three whole numbers 0..255)"
            )
    elif max(numbers) <= 1:
        numbers = [255 * value for value in numbers]
    red, green, blue = (round(value) for value in numbers)
    return red, green, blue


# Well apart in hue and lightness, none close to black, white or grey.
_FIRST: tuple[Color, ...] = (
    (230, 60, 60), (50, 120, 230), (250, 190, 30), (60, 180, 75), (160, 70, 210), (250, 130, 40),
    (60, 200, 220), (235, 80, 190), (150, 200, 50), (120, 100, 240), (30, 150, 130), (190, 110, 50),
    (250, 150, 160), (120, 180, 250),
)  # fmt: skip


def colormap(count: int) -> list[Color]:
    """Return a list of colors that are as different from each other as possible."""
    colors = list(_FIRST[:count])
    for index in range(len(colors), count):
        hue = index * (math.sqrt(5) - 1) / 2 % 1
        lightness = (0.45, 0.6, 0.7)[index % 3]
        red, green, blue = colorsys.hls_to_rgb(hue, lightness, 0.75)
        colors.append((round(red * 255), round(green * 255), round(blue * 255)))
    return colors


def shade(color: Color, step: int) -> Color:
    """Return a lighter or darker variant, for neighbours of one class; step 0 is the colour itself."""
    factor = (1.0, 0.75, 1.25, 0.88, 1.12)[step % 5]
    hue, lightness, saturation = colorsys.rgb_to_hls(*(part / 255 for part in color))
    red, green, blue = colorsys.hls_to_rgb(hue, min(max(lightness * factor, 0.2), 0.85), saturation)
    return round(red * 255), round(green * 255), round(blue * 255)


def ink_on(color: Color) -> Color:
    """Black or white, whichever reads better on a colour."""
    red, green, blue = color
    return (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > 140 else (255, 255, 255)
