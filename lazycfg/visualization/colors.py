"""Colours for classes and objects that can be told apart, and the text colour that is readable on them."""

from __future__ import annotations

import colorsys
import math

__all__ = ["Color", "colormap", "ink_on"]

Color = tuple[int, int, int]
"""Red, green, blue, 0..255."""

# Well apart in hue and lightness, none close to black, white or grey.
_FIRST: tuple[Color, ...] = (
    (230, 60, 60), (50, 120, 230), (250, 190, 30), (60, 180, 75), (160, 70, 210), (250, 130, 40),
    (60, 200, 220), (235, 80, 190), (150, 200, 50), (120, 100, 240), (30, 150, 130), (190, 110, 50),
    (250, 150, 160), (120, 180, 250),
)  # fmt: skip


def colormap(count: int) -> list[Color]:
    """So many colours, the first ones as different as can be; more are spread by the golden angle of hue."""
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
