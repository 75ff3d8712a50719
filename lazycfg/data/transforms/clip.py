"""Cutting polygons at straight lines."""

from __future__ import annotations

import numpy as np


def clip_polygon_half_plane(polygon: np.ndarray, axis: int, limit: float, keep_below: bool) -> np.ndarray:
    """Return the part of a polygon (K, 2) where coordinate `axis` is <= `limit` (or >=), as one ring (M, 2).

    Sutherland & Hodgman, "Reentrant polygon clipping", 1974. Where a concave polygon falls into several parts
    they stay joined by edges of no area along the line, so that area and raster are those of the true cut.
    """
    if len(polygon) == 0:
        return polygon
    inside = polygon[:, axis] <= limit if keep_below else polygon[:, axis] >= limit
    if inside.all():
        return polygon
    if not inside.any():
        return polygon[:0]
    following = np.roll(polygon, -1, axis=0)
    crosses = inside != np.roll(inside, -1)
    start, end = polygon[crosses], following[crosses]
    t = (limit - start[:, axis]) / (end[:, axis] - start[:, axis])
    crossing = start + t[:, None] * (end - start)
    crossing[:, axis] = limit
    # Keep the order of the ring: point i (where inside), then the crossing between i and i + 1 (where
    # there is one).
    order = np.concatenate((np.nonzero(inside)[0] * 2, np.nonzero(crosses)[0] * 2 + 1))
    points = np.concatenate((polygon[inside], crossing))
    return points[np.argsort(order)]


def clip_polygon_to_rectangle(polygon: np.ndarray, width: float, height: float) -> np.ndarray:
    """Return the part of a polygon (K, 2) inside [0, width] x [0, height]; (0, 2) when no area is left."""
    for axis, limit in ((0, width), (1, height)):
        polygon = clip_polygon_half_plane(polygon, axis, 0.0, False)
        polygon = clip_polygon_half_plane(polygon, axis, float(limit), True)
    if len(polygon) < 3 or np.ptp(polygon, axis=0).min() <= 0:
        return polygon[:0]
    return polygon
