"""Boxes of polygons, and polygons of other shapes; a polygon is flat, [x0, y0, x1, y1, ...]."""

from __future__ import annotations

import math
from collections.abc import Sequence


def bounds(polygons: Sequence[Sequence[float]]) -> list[float]:
    """Return the box [x, y, width, height] around polygons."""
    x = [v for polygon in polygons for v in polygon[0::2]]
    y = [v for polygon in polygons for v in polygon[1::2]]
    return [min(x), min(y), max(x) - min(x), max(y) - min(y)]


def rotated_box(corners: Sequence[float]) -> list[float]:
    """Return [xc, yc, width, height, angle] (degrees, counterclockwise) of four corners in their order."""
    (x0, x1, x2, x3), (y0, y1, y2, y3) = corners[0::2], corners[1::2]
    across = ((x1 + x2) - (x0 + x3)) / 2, ((y1 + y2) - (y0 + y3)) / 2
    down = ((x2 + x3) - (x0 + x1)) / 2, ((y2 + y3) - (y0 + y1)) / 2
    angle = math.degrees(math.atan2(-across[1], across[0]))
    return [sum(corners[0::2]) / 4, sum(corners[1::2]) / 4, math.hypot(*across), math.hypot(*down), angle]


def corners_of(box: Sequence[float]) -> list[float]:
    """Return the four corners, a flat polygon, of [xc, yc, width, height, angle]."""
    x, y, width, height, angle = box
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    result = []
    for a, b in ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)):
        u, v = a * width, b * height
        result += [x + u * cos + v * sin, y - u * sin + v * cos]
    return result


def circle(x: float, y: float, radius: float, points: int = 64) -> list[float]:
    """Return a polygon of so many points that has the area of a circle."""
    radius *= math.sqrt(2 * math.pi / points / math.sin(2 * math.pi / points))
    angles = [2 * math.pi * i / points for i in range(points)]
    return [v for a in angles for v in (x + radius * math.cos(a), y + radius * math.sin(a))]
