"""Outlines and textures for `ShapesDataset`."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

SUPERSAMPLE = 4
"""Outlines are drawn at this many times the size of the image, and averaged."""


def _regular(corners: int, radius: float) -> np.ndarray:
    angles = np.arange(corners) * (2 * math.pi / corners) - math.pi / 2
    return radius * np.stack((np.cos(angles), np.sin(angles)), axis=1)


def _star() -> np.ndarray:
    points = _regular(10, 1.0)
    points[1::2] *= 0.42
    return points * 1.2


def _cross() -> np.ndarray:
    a, b = 0.32, 1.0
    xs = [-a, a, a, b, b, a, a, -a, -a, -b, -b, -a]
    ys = [-b, -b, -a, -a, a, a, b, b, a, a, -a, -a]
    return np.stack((xs, ys), axis=1)


def _bar() -> np.ndarray:
    a, b = 1.15, 0.46
    return np.array([[-a, -b], [a, -b], [a, b], [-a, b]])


# Scaled so that equal radii look about equally large.
OUTLINES: dict[str, Callable[[], np.ndarray]] = {
    "circle": lambda: _regular(36, 0.9),
    "triangle": lambda: _regular(3, 1.2),
    "square": lambda: _regular(4, 1.1),
    "pentagon": lambda: _regular(5, 1.0),
    "hexagon": lambda: _regular(6, 0.95),
    "star": _star,
    "cross": _cross,
    "bar": _bar,
}
"""Name -> points (K, 2) around (0, 0) with radius about 1, clockwise on the screen."""


# Turned by one of so many equal parts of a full turn a shape looks as before; 0 for any angle.
SYMMETRY = {
    "circle": 0,
    "triangle": 3,
    "square": 4,
    "pentagon": 5,
    "hexagon": 6,
    "star": 5,
    "cross": 4,
    "bar": 2,
}


def rotated_box(points: np.ndarray, angle: float, symmetry: int) -> list[float]:
    """Return the box around points (K, 2), turned as the shape is.

    Args:
        angle: degrees counter-clockwise.
        symmetry: as in `SYMMETRY`; of the angles that look alike the one nearest to 0 is taken.

    Returns:
        (xc, yc, width, height, angle), pixels and degrees.
    """
    part = 360.0 / symmetry if symmetry else 0.0
    angle = (angle + part / 2) % part - part / 2 if symmetry else 0.0
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    axes = np.array([[cos, -sin], [sin, cos]])  # along the width and down the height; the y axis points down
    along = points @ axes.T
    low, high = along.min(axis=0), along.max(axis=0)
    return [*((low + high) / 2 @ axes).tolist(), *(high - low).tolist(), angle]


def rasterize(polygon: np.ndarray, height: int, width: int) -> tuple[np.ndarray, int, int]:
    """Mask of a polygon (K, 2) at `SUPERSAMPLE` times the size, cut to its bounding box.

    Returns:
        mask (h, w) bool, and the row and column of its corner, in supersampled pixels.
    """
    points = polygon * SUPERSAMPLE
    low = np.maximum(np.floor(points.min(axis=0)).astype(int), 0)
    high = np.minimum(
        np.ceil(points.max(axis=0)).astype(int) + 1, (width * SUPERSAMPLE, height * SUPERSAMPLE)
    )
    w, h = (int(v) for v in np.maximum(high - low, 0))
    if w == 0 or h == 0:
        return np.zeros((h, w), dtype=bool), int(low[1]), int(low[0])
    canvas = Image.new("L", (w, h))
    shifted = points - low - 0.5  # PIL counts from the centre of pixel 0
    ImageDraw.Draw(canvas).polygon([tuple(p) for p in shifted.tolist()], fill=1)
    return np.asarray(canvas, dtype=bool), int(low[1]), int(low[0])


def texture(
    rng: np.random.Generator, height: int, width: int, color: np.ndarray, contrast: float, scale: float
) -> np.ndarray:
    """Return a pattern (height, width, 3) float32 around an RGB colour.

    Args:
        contrast: largest difference from `color`, grey levels.
        scale: size of the pattern's elements, pixels.
    """
    y = np.arange(height, dtype=np.float32)[:, None]
    x = np.arange(width, dtype=np.float32)[None, :]
    angle, phase = rng.uniform(0, math.pi), rng.uniform(0, 2 * math.pi)
    u = (math.cos(angle) * x + math.sin(angle) * y) * np.float32(math.pi / scale) + np.float32(phase)
    v = (math.cos(angle) * y - math.sin(angle) * x) * np.float32(math.pi / scale)
    kind = int(rng.integers(5))
    if kind == 0:  # stripes
        pattern = np.clip(np.sin(u) * 3, -1, 1)
    elif kind == 1:  # checks
        pattern = np.clip(np.sin(u) * np.sin(v) * 6, -1, 1)
    elif kind == 2:  # dots
        pattern = np.clip((np.cos(u) + np.cos(v) - 0.8) * 2, -1, 1)
    elif kind == 3:  # a slope
        pattern = u * np.float32(scale / (math.pi * max(height, width)))
        pattern = 2 * (pattern - pattern.min()) / max(float(np.ptp(pattern)), 1e-6) - 1
    else:  # clouds
        pattern = clouds(rng, height, width, scale)
    tint = rng.uniform(0.6, 1.0, 3).astype(np.float32) * np.float32(contrast)
    return color.astype(np.float32) + pattern[..., None].astype(np.float32) * tint


def clouds(rng: np.random.Generator, height: int, width: int, scale: float) -> np.ndarray:
    """Smooth noise (height, width) in about [-1, 1] with lumps of `scale` pixels."""
    rows, cols = max(2, round(height / scale) + 1), max(2, round(width / scale) + 1)
    grid = Image.fromarray(rng.uniform(-1, 1, (rows, cols)).astype(np.float32))
    return np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC))


def distant_color(rng: np.random.Generator, others: list[np.ndarray]) -> np.ndarray:
    """Draw eight RGB colours and return the one that is farthest from all others."""
    drawn = rng.uniform(25, 230, (8, 3))
    distance = np.min([((drawn - o) ** 2).sum(axis=1) for o in others], axis=0)
    return drawn[int(np.argmax(distance))]
