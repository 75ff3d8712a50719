"""Putting several images side by side, with titles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from lazycfg.visualization.canvas import as_rgb
from lazycfg.visualization.fonts import font_for

__all__ = ["side_by_side"]


def side_by_side(images: Sequence[Any], titles: Sequence[str] = (), *, gap: int = 8) -> np.ndarray:
    """Put images in a row, brought to the height of the highest, each under its title.

    An image that is narrower than its title has white beside it.

    Args:
        images: RGB.
        titles: one for each, or none.
        gap: pixels between them.

    Returns:
        (H, W, 3) uint8, RGB.

    Raises:
        ValueError: titles are not as many as images
    """
    if titles and len(titles) != len(images):
        raise ValueError(f"{len(titles)} titles for {len(images)} images")
    pictures = [Image.fromarray(as_rgb(image)) for image in images]
    height = max(picture.height for picture in pictures)
    pictures = [
        picture.resize(
            (max(1, round(picture.width * height / picture.height)), height), Image.Resampling.BICUBIC
        )
        for picture in pictures
    ]
    size = int(min(max(height / 28, 12), 32))
    head = round(size * 1.6) if titles else 0
    widths = [picture.width for picture in pictures]
    for index, title in enumerate(titles):
        widths[index] = max(
            widths[index], math.ceil(font_for(title, size).getlength(title)) + 2 * (size // 3)
        )
    total = sum(widths) + gap * (len(pictures) - 1)
    result = Image.new("RGB", (total, height + head), (255, 255, 255))
    draw = ImageDraw.Draw(result)
    x = 0
    for index, picture in enumerate(pictures):
        result.paste(picture, (x, head))
        if titles:
            title = titles[index]
            draw.text((x + size // 3, size * 0.2), title, fill=(0, 0, 0), font=font_for(title, size))
        x += widths[index] + gap
    return np.asarray(result).copy()
