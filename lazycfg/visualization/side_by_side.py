"""Several pictures of one image as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from lazycfg.visualization.canvas import _font, as_rgb

__all__ = ["side_by_side"]


def side_by_side(images: Sequence[Any], titles: Sequence[str] = (), *, gap: int = 8) -> np.ndarray:
    """Put pictures in a row, brought to the height of the highest, each under its title.

    Args:
        images: RGB pictures.
        titles: one for each, or none.
        gap: pixels between them.

    Returns:
        (H, W, 3) uint8, RGB.
    """
    if titles and len(titles) != len(images):
        raise ValueError(f"{len(titles)} titles for {len(images)} pictures")
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
    width = sum(picture.width for picture in pictures) + gap * (len(pictures) - 1)
    result = Image.new("RGB", (width, height + head), (255, 255, 255))
    draw = ImageDraw.Draw(result)
    x = 0
    for index, picture in enumerate(pictures):
        result.paste(picture, (x, head))
        if titles:
            draw.text((x + size // 3, size * 0.2), titles[index], fill=(0, 0, 0), font=_font(size))
        x += picture.width + gap
    return np.asarray(result).copy()
