"""A body made of flat segments, in place of the surface that nobody may pass on.

It stands upright in a plane, in metres: x points to its left, y down, the origin is between its legs. Seen
from the front its right is at the left of the image. All parts have charts in which u runs from its right to
its left, v downwards.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

__all__ = ["SEGMENTS", "Segment", "Surface", "build_surface", "coarse_label"]

THICKNESS = 0.06


@dataclass(frozen=True)
class Segment:
    """A rectangle that turns about the middle of its upper side.

    Attributes:
        name: of the segment.
        front, back: the part (1 to 24) that is seen from there.
        width, height: in metres.
        joint: where the middle of the upper side is, in the coordinates of the parent.
        parent: name of the segment that it hangs on; "" for the torso.
        cells: grid of its vertices, along u and v.
        left: the share of the width that is to the right of the joint: the head's halves lie beside it.
    """

    name: str
    front: int
    back: int
    width: float
    height: float
    joint: tuple[float, float]
    parent: str
    cells: tuple[int, int]
    left: float = 0.5

    @property
    def local(self) -> tuple[float, float]:
        """Return x of its right and left side, relative to the joint."""
        return -self.width * self.left, self.width * (1 - self.left)


def _limbs() -> list[Segment]:
    made = []
    for side, sign in (("right", -1), ("left", 1)):
        right = side == "right"
        for name, parts, size, joint, parent, cells in (
            ("upper leg", (9, 7) if right else (10, 8), (0.22, 0.42), (0.115 * sign, 0.58), "torso", (4, 7)),
            ("lower leg", (13, 11) if right else (14, 12), (0.18, 0.4), (0, 0.4), "upper leg", (4, 7)),
            ("foot", (6, 6) if right else (5, 5), (0.2, 0.14), (0, 0.38), "lower leg", (4, 3)),
            (
                "upper arm",
                (18, 16) if right else (17, 15),
                (0.19, 0.32),
                (0.21 * sign, 0.06),
                "torso",
                (4, 6),
            ),
            ("lower arm", (22, 20) if right else (21, 19), (0.17, 0.3), (0, 0.3), "upper arm", (4, 6)),
            ("hand", (3, 3) if right else (4, 4), (0.18, 0.17), (0, 0.28), "lower arm", (4, 4)),
        ):
            above = parent if parent == "torso" else f"{side} {parent}"
            made.append(Segment(f"{side} {name}", *parts, *size, joint, above, cells))
    return made


SEGMENTS = (
    Segment("torso", 2, 1, 0.46, 0.62, (0, -0.6), "", (7, 10)),
    Segment("right head", 23, 23, 0.14, 0.28, (0, -0.27), "torso", (4, 6), left=1.0),
    Segment("left head", 24, 24, 0.14, 0.28, (0, -0.27), "torso", (4, 6), left=0.0),
    *_limbs(),
)
"""In the order in which they are drawn, those behind first: legs and arms lie before the torso."""

# Coarse parts, by their first fine ones
COARSE = (0, 1, 1, 2, 3, 4, 5, 6, 7, 6, 7, 8, 9, 8, 9, 10, 11, 10, 11, 12, 13, 12, 13, 14, 14)


def coarse_label(parts: np.ndarray) -> np.ndarray:
    """Return (N,) coarse parts (0 to 14) of parts (N,) from 1 to 24."""
    return np.array(COARSE, dtype=np.uint8)[parts]


@dataclass(frozen=True)
class Surface:
    """The body in its canonical pose.

    Attributes:
        part, u, v: (K,) of the vertices of all charts; those on a seam are several times among them.
        index: (K,) the vertex of the mesh that each one is.
        vertices: (V, 3) of the mesh. faces: (F, 3).
        distances: (V, V) along the surface, metres.
        mirror: (V,) the vertex that takes the place of each one in a mirrored image.
        texcoords: (V, 2), places of the vertices in an atlas of 6 x 4 charts.
    """

    part: np.ndarray
    u: np.ndarray
    v: np.ndarray
    index: np.ndarray
    vertices: np.ndarray
    faces: np.ndarray
    distances: np.ndarray
    mirror: np.ndarray
    texcoords: np.ndarray

    def closest(self, part: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Return the vertex of the mesh that is next in the chart to each point (P,)."""
        away = (self.u - u[:, None]) ** 2 + (self.v - v[:, None]) ** 2
        away[self.part != part[:, None]] = np.inf
        return self.index[away.argmin(axis=1)]


def canonical_joints() -> dict[str, np.ndarray]:
    """Return the point (3,) where the joint of each segment is."""
    joints: dict[str, np.ndarray] = {"": np.zeros(2)}
    for segment in SEGMENTS:
        joints[segment.name] = joints[segment.parent] + np.array(segment.joint)
    return joints


@cache
def build_surface() -> Surface:
    """Return the surface; it is always the same one."""
    joints = canonical_joints()
    parts, us, vs, points, faces, tops = [], [], [], [], [], []
    count = 0
    for segment in SEGMENTS:
        for part, sign in {segment.back: -1, segment.front: 1}.items():
            columns, rows = segment.cells
            grid = np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 1, columns), indexing="ij")
            v, u = grid[0].ravel(), grid[1].ravel()
            low, high = segment.local
            x = joints[segment.name][0] + low + u * (high - low)
            y = joints[segment.name][1] + v * segment.height
            z = sign * THICKNESS * 4 * u * (1 - u) * (segment.front != segment.back)
            parts.append(np.full(len(u), part))
            us.append(u)
            vs.append(v)
            points.append(np.stack((x, y, z), axis=1))
            corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel() + count
            a, b, c, d = corner, corner + 1, corner + columns, corner + columns + 1
            faces.append(np.stack((np.stack((a, b, d), 1), np.stack((a, d, c), 1)), 1).reshape(-1, 3))
            tops.append((segment, np.arange(count, count + columns)))
            count += len(u)
    part, u, v = np.concatenate(parts), np.concatenate(us), np.concatenate(vs)
    each = np.concatenate(points)
    vertices, index = np.unique(each.round(6), axis=0, return_inverse=True)
    index = index.reshape(-1)
    triangles = index[np.concatenate(faces)]
    distances = _distances(vertices, triangles, _hinges(each, index, part, tops))
    flipped = vertices * (-1, 1, 1)
    mirror = ((flipped[:, None] - vertices) ** 2).sum(axis=2).argmin(axis=1)
    first = np.unique(index, return_index=True)[1]
    atlas = np.stack((((part - 1) // 6 + u) / 4, ((part - 1) % 6 + 1 - v) / 6), axis=1)[first]
    return Surface(part, u, v, index, vertices, triangles, distances, mirror, atlas)


def _hinges(
    points: np.ndarray, index: np.ndarray, part: np.ndarray, tops: list[tuple[Segment, np.ndarray]]
) -> list[tuple[int, int]]:
    """Return pairs of vertices of the mesh that join the upper side of a segment to its parent."""
    by_name = {segment.name: segment for segment in SEGMENTS}
    pairs = []
    for segment, rows in tops:
        if not segment.parent:
            continue
        parent = by_name[segment.parent]
        above = np.flatnonzero(np.isin(part, (parent.front, parent.back)))
        for row in rows:
            near = above[((points[above] - points[row]) ** 2).sum(axis=1).argmin()]
            pairs.append((int(index[row]), int(index[near])))
    return pairs


def _distances(vertices: np.ndarray, faces: np.ndarray, more: list[tuple[int, int]]) -> np.ndarray:
    """Return the lengths of the shortest paths along the edges (V, V)."""
    edges = np.concatenate((faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]], np.array(more)))
    lengths = np.linalg.norm(vertices[edges[:, 0]] - vertices[edges[:, 1]], axis=1)
    found = np.full((len(vertices), len(vertices)), np.inf)
    found[edges[:, 0], edges[:, 1]] = found[edges[:, 1], edges[:, 0]] = lengths
    np.fill_diagonal(found, 0)
    for k in range(len(vertices)):
        np.minimum(found, found[:, k, None] + found[k], out=found)
    return found
