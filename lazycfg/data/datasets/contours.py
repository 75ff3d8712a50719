"""From bit masks to polygons."""

from __future__ import annotations

import numpy as np


def mask_to_rings(mask: np.ndarray) -> list[np.ndarray]:
    """Trace the borders of a mask (H, W) along pixel edges.

    Returns:
        rings, each (K, 2) corners (x, y); outer borders have positive `ring_area`, holes negative. Regions
        that touch at a corner only are separate. Rasterising all rings by the even-odd rule gives the mask
        back.
    """
    padded = np.zeros((mask.shape[0] + 2, mask.shape[1] + 2), dtype=bool)
    padded[1:-1, 1:-1] = mask
    inner = padded[1:-1, 1:-1]
    width = mask.shape[1] + 1
    starts, ends, directions = [], [], []
    # Edges run clockwise around the foreground: 0 right (above it), 1 down, 2 left (below it), 3 up.
    neighbours = (padded[:-2, 1:-1], padded[1:-1, 2:], padded[2:, 1:-1], padded[1:-1, :-2])
    offsets = (((0, 0), (1, 0)), ((1, 0), (1, 1)), ((1, 1), (0, 1)), ((0, 1), (0, 0)))
    for way, (neighbour, (begin, finish)) in enumerate(zip(neighbours, offsets, strict=True)):
        y, x = np.nonzero(inner & ~neighbour)
        starts.append((y + begin[1]) * width + x + begin[0])
        ends.append((y + finish[1]) * width + x + finish[0])
        directions.append(np.full(len(y), way))
    start, end, direction = (np.concatenate(part) for part in (starts, ends, directions))
    if len(start) == 0:
        return []
    # Two edges leave a corner where two regions touch: turn right there, which stays with the same region.
    order = np.argsort(start * 4 + direction)
    key = (start * 4 + direction)[order]
    right = np.searchsorted(key, end * 4 + (direction + 1) % 4)
    turns = key[np.minimum(right, len(key) - 1)] == end * 4 + (direction + 1) % 4
    any_edge = np.searchsorted(key // 4, end)
    following = order[np.where(turns, right, any_edge)].tolist()
    seen = bytearray(len(start))
    rings = []
    for first in range(len(start)):
        if seen[first]:
            continue
        path, edge = [], first
        while not seen[edge]:
            seen[edge] = 1
            path.append(edge)
            edge = following[edge]
        corners = direction[path] != direction[np.roll(path, 1)]
        vertex = start[path][corners]
        rings.append(np.stack((vertex % width, vertex // width), axis=1).astype(np.float64))
    return rings


def ring_area(ring: np.ndarray) -> float:
    """Signed area of a ring (K, 2), positive when clockwise on the screen (y down)."""
    x, y = ring[:, 0], ring[:, 1]
    return float(0.5 * np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))


def simplify_ring(ring: np.ndarray, tolerance: float) -> np.ndarray:
    """Return (K, 2) of the points (N, 2) of a ring: those that lie within `tolerance` of the line are left
    out (Ramer 1972; Douglas & Peucker 1973).
    """
    if len(ring) <= 4:
        return ring
    far = int(np.argmax(((ring - ring[0]) ** 2).sum(axis=1)))
    closed = np.concatenate((ring, ring[:1]))
    keep = np.zeros(len(closed), dtype=bool)
    keep[[0, far, len(ring)]] = True
    stack = [(0, far), (far, len(ring))]
    while stack:
        a, b = stack.pop()
        if b - a < 2:
            continue
        p, q = closed[a], closed[b]
        line = q - p
        offset = closed[a + 1 : b] - p
        length = float(np.hypot(line[0], line[1]))
        if length == 0:
            distance = np.hypot(offset[:, 0], offset[:, 1])
        else:
            distance = np.abs(line[0] * offset[:, 1] - line[1] * offset[:, 0]) / length
        i = int(np.argmax(distance))
        if distance[i] > tolerance:
            i += a + 1
            keep[i] = True
            stack += [(a, i), (i, b)]
    result = closed[:-1][keep[:-1]]
    return result if len(result) >= 3 else ring


def join_holes(outer: np.ndarray, holes: list[np.ndarray]) -> np.ndarray:
    """Return one ring (N, 2) that runs along the outer border and, over bridges of zero width, around the
    holes.

    COCO polygons know no holes; this one has the area and the raster of the region with them.
    """
    ring = outer
    for hole in holes:
        distance = ((ring[:, None] - hole[None]) ** 2).sum(axis=2)
        i, j = np.unravel_index(int(np.argmin(distance)), distance.shape)
        around = np.concatenate((hole[j:], hole[: j + 1]))
        ring = np.concatenate((ring[: i + 1], around, ring[i:]))
    return ring


def mask_to_polygons(mask: np.ndarray, *, tolerance: float = 0.0, min_area: float = 0.0) -> list[np.ndarray]:
    """Polygons (K, 2) that cover a mask (H, W), one per connected region, holes joined in.

    Args:
        tolerance: points may be left out as long as the border moves by no more, pixels.
        min_area: smaller regions and holes are left out, square pixels.
    """
    rings = mask_to_rings(mask)
    areas = [ring_area(r) for r in rings]
    rings = [simplify_ring(r, tolerance) if tolerance > 0 else r for r in rings]
    outers = [(r, a) for r, a in zip(rings, areas, strict=True) if a > 0 and a >= min_area]
    holes = [r for r, a in zip(rings, areas, strict=True) if a < 0 and -a >= min_area]
    if not holes:
        return [r for r, _ in outers]
    by_outer: list[list[np.ndarray]] = [[] for _ in outers]
    for hole in holes:
        owners = [i for i, (outer, _) in enumerate(outers) if _contains(outer, hole)]
        if owners:
            by_outer[min(owners, key=lambda i: outers[i][1])].append(hole)
    return [join_holes(outer, inside) for (outer, _), inside in zip(outers, by_outer, strict=True)]


def _contains(outer: np.ndarray, inner: np.ndarray) -> bool:
    """Return whether the middle of the first edge of `inner`, moved off the pixel lattice, lies inside
    `outer`.
    """
    x, y = (inner[0] + inner[1]) / 2 + 1e-3
    x0, y0 = outer[:, 0], outer[:, 1]
    x1, y1 = np.roll(x0, -1), np.roll(y0, -1)
    spans = (y0 > y) != (y1 > y)
    cross = x0[spans] + (y - y0[spans]) * (x1[spans] - x0[spans]) / (y1[spans] - y0[spans])
    return bool((cross > x).sum() % 2)
