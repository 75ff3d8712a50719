"""Polygons to masks, by the rule of the COCO tools, for many polygons at once.

The rule (``rleFrPoly`` of the COCO mask API): vertices are rounded to a grid five times finer than the
pixels, the boundary is walked on that grid, and wherever the walk passes the middle of a pixel column a
*crossing* is noted at a row. A pixel is inside when the number of crossings at or above it in its column is
odd. Each edge contributes its crossings independently of the others, so all edges of all polygons are done
together, and the sums along the columns are one cumulative sum. Numbers are computed in the same order in
float64, so the masks are the same bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "PackedPolygons",
    "pack_polygons",
    "polygons_to_bitmask",
    "rasterize_images",
    "rasterize_polygons_within_box",
    "rasterize_windows",
    "rasterize_within_boxes",
]

_SCALE = 5  # sub-pixels per pixel
_FARTHEST = float(1 << 40)  # sub-pixels; keeps absurd coordinates within exact float64 arithmetic
_DENSE_WIDTH = 64  # up to this width a device is not asked how many crossings there are


@dataclass(frozen=True)
class PackedPolygons:
    """The polygons of N objects as flat arrays.

    Attributes:
        points: (V, 2) float64 vertices as (x, y) in pixels, polygon after polygon.
        following: (V,) int64, the vertex at the other end of the edge that begins at a vertex.
        polygon: (V,) int64, the polygon a vertex belongs to.
        owner: (P,) int64, the object a polygon belongs to; increasing.
        num_objects: N.
        one_each: whether every object has exactly one polygon.
    """

    points: Tensor
    following: Tensor
    polygon: Tensor
    owner: Tensor
    num_objects: int
    one_each: bool

    def to(self, device: torch.device | str) -> PackedPolygons:
        """Return a copy on a device."""

        def move(tensor: Tensor) -> Tensor:
            return tensor.to(device, non_blocking=True)

        return replace(
            self,
            points=move(self.points),
            following=move(self.following),
            polygon=move(self.polygon),
            owner=move(self.owner),
        )


def pack_polygons(objects: Sequence[Sequence[Any]]) -> PackedPolygons:
    """Flatten the polygons of N objects, each polygon an array (x0, y0, x1, y1, ...) in pixels."""
    flat = [np.asarray(p, dtype=np.float64).reshape(-1) for polygons in objects for p in polygons]
    lengths = np.array([len(p) // 2 for p in flat], dtype=np.int64)
    per_object = np.array([len(polygons) for polygons in objects], dtype=np.int64)
    points = np.concatenate(flat).reshape(-1, 2) if flat else np.zeros((0, 2))
    ends = lengths.cumsum()
    following = np.arange(1, len(points) + 1)
    filled = lengths > 0
    following[ends[filled] - 1] = (ends - lengths)[filled]
    return PackedPolygons(
        points=torch.from_numpy(points),
        following=torch.from_numpy(following),
        polygon=torch.from_numpy(np.repeat(np.arange(len(flat)), lengths)),
        owner=torch.from_numpy(np.repeat(np.arange(len(objects)), per_object)),
        num_objects=len(objects),
        one_each=bool((per_object == 1).all()),
    )


def rasterize_within_boxes(packed: PackedPolygons, boxes: Tensor, size: int) -> Tensor:
    """Return the part of each object that lies in its box, resized to (size, size).

    Args:
        packed: the polygons of N objects.
        boxes: (N, 4) XYXY in pixels. The work is done on their device.
        size: side of the masks in pixels.

    Returns:
        (N, size, size) bool.
    """
    boxes = boxes.detach().float()
    packed = packed.to(boxes.device)
    extent = boxes[:, 2:] - boxes[:, :2]
    # The ratio is rounded to float32, as numpy does with an integer over a float32 number. `size / extent`
    # would be a multiplication with the reciprocal, which is not the same number.
    ratio = torch.div(torch.full_like(extent, size), extent).double()
    ratio = torch.where(extent >= 0.1, ratio, size / 0.1)
    owner = packed.owner[packed.polygon]
    points = (packed.points - boxes[:, :2].double()[owner]) * ratio[owner]
    dense = boxes.device.type != "cpu" and size <= _DENSE_WIDTH
    edge, column, row, counts = _crossings(points, packed.following, size, size, dense)

    height, width, num_polygons = size, size, len(packed.owner)
    flips = torch.zeros(num_polygons * (height + 1) * width, dtype=torch.uint8, device=boxes.device)
    cell = (packed.polygon[edge] * (height + 1) + row) * width + column
    # A count modulo 256 has the same parity.
    flips.scatter_add_(0, cell.flatten(), counts.flatten())
    inside = flips.view(num_polygons, height + 1, width).cumsum(dim=1, dtype=torch.uint8)[:, :height] & 1
    if packed.one_each:
        return inside.bool()
    union = torch.zeros((packed.num_objects, height, width), dtype=torch.int32, device=boxes.device)
    return union.index_add_(0, packed.owner, inside.int()) > 0


def rasterize_images(packed: PackedPolygons, height: int, width: int) -> Tensor:
    """Return the masks of N objects on the whole image, (N, height, width) bool, on the host.

    Work and memory traffic are those of the boxes around the polygons, not of the image.
    """
    # Memory from numpy is zero without having been touched.
    masks = np.zeros((packed.num_objects, height, width), dtype=np.uint8)
    for owner, inside, top, left in _polygon_windows(packed, height, width):
        masks[owner, top : top + inside.shape[0], left : left + inside.shape[1]] |= inside
    return torch.from_numpy(masks.view(np.bool_))


def rasterize_windows(
    packed: PackedPolygons, height: int, width: int
) -> list[tuple[np.ndarray, int, int] | None]:
    """Return the masks of N objects as windows of the image: (mask (H, W) bool, its first row, first column).

    None stands for an object without a pixel. Work and memory are those of the boxes around the objects.
    """
    parts: list[list[tuple[np.ndarray, int, int]]] = [[] for _ in range(packed.num_objects)]
    for owner, *part in _polygon_windows(packed, height, width):
        parts[owner].append((part[0], part[1], part[2]))
    return [_joined(windows) if windows else None for windows in parts]


def _joined(windows: list[tuple[np.ndarray, int, int]]) -> tuple[np.ndarray, int, int]:
    """Return the union of windows."""
    if len(windows) == 1:
        inside, top, left = windows[0]
        return inside.astype(bool), top, left
    top, left = min(window[1] for window in windows), min(window[2] for window in windows)
    bottom = max(window[1] + window[0].shape[0] for window in windows)
    right = max(window[2] + window[0].shape[1] for window in windows)
    union = np.zeros((bottom - top, right - left), dtype=bool)
    for inside, y, x in windows:
        part = union[y - top : y - top + inside.shape[0], x - left : x - left + inside.shape[1]]
        part |= inside.astype(bool)
    return union, top, left


def _polygon_windows(
    packed: PackedPolygons, height: int, width: int
) -> Iterator[tuple[int, np.ndarray, int, int]]:
    """Yield for every polygon with pixels: its object, mask (h, w) of 0 and 1, first row and first column."""
    edge, column, row, _ = _crossings(packed.points, packed.following, height, width, dense=False)
    if len(edge) == 0:
        return
    polygon = packed.polygon[edge].numpy()
    columns, rows = column.numpy(), row.numpy()
    starts = np.flatnonzero(np.diff(polygon, prepend=-1))
    left, right = np.minimum.reduceat(columns, starts), np.maximum.reduceat(columns, starts) + 1
    top, bottom = np.minimum.reduceat(rows, starts), np.maximum.reduceat(rows, starts)
    # A window per polygon, column after column. Every column has an even number of crossings, so one
    # cumulative sum runs through all windows. The last row of a window takes the crossings below the mask.
    heights = bottom - top + 1
    offsets = np.concatenate(([0], (heights * (right - left)).cumsum()))
    which = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(polygon)))
    cell = torch.from_numpy(offsets[which] + (columns - left[which]) * heights[which] + rows - top[which])
    flips = torch.zeros(int(offsets[-1]), dtype=torch.uint8)
    flips.scatter_add_(0, cell, torch.ones(len(cell), dtype=torch.uint8))
    inside = (flips.cumsum(dim=0, dtype=torch.uint8) & 1).numpy()
    owner = packed.owner.numpy()[polygon[starts]]
    for i, target in enumerate(owner):
        window = inside[offsets[i] : offsets[i + 1]].reshape(-1, heights[i]).T
        yield int(target), window[:-1], int(top[i]), int(left[i])


def polygons_to_bitmask(polygons: Sequence[np.ndarray], height: int, width: int) -> np.ndarray:
    """Return the union of the polygons of one object as a bool array (height, width).

    Args:
        polygons: each (x0, y0, x1, y1, ...) in pixels.
    """
    return rasterize_images(pack_polygons([polygons]), height, width)[0].numpy()


def rasterize_polygons_within_box(
    polygons: Sequence[np.ndarray], box: np.ndarray | Tensor, mask_size: int
) -> Tensor:
    """Return the part of one object inside a box, resized to (mask_size, mask_size); bool.

    Args:
        polygons: each (x0, y0, x1, y1, ...) in pixels.
        box: (4,) XYXY in pixels.
    """
    boxes = torch.as_tensor(box, dtype=torch.float32).reshape(1, 4)
    return rasterize_within_boxes(pack_polygons([polygons]), boxes, mask_size)[0]


def _crossings(
    points: Tensor, following: Tensor, height: int, width: int, dense: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return where edges pass the middle of a pixel column.

    Args:
        points: (V, 2) vertices in pixels, float64.
        following: (V,) the other end of the edge that begins at a vertex.
        dense: look at every edge with every column, which does not wait for a device, instead of listing the
            pairs that meet, which is less work.

    Returns:
        edge, column, row, count. Without `dense` all of shape (K,), sorted by edge, every count 1 (uint8);
        with it broadcastable to (V, width), the count 0 for a pair that does not meet. Rows are in [0,
        height].
    """
    # Whole numbers are kept in float64: they go into the same formulas as in C, where conversion truncates.
    grid = (points * _SCALE + 0.5).clamp(-_FARTHEST, _FARTHEST).trunc()
    x0, y0 = grid.unbind(dim=1)
    x1, y1 = grid[following].unbind(dim=1)
    steep = (x1 - x0).abs() < (y1 - y0).abs()
    flip = torch.where(steep, y0 > y1, x0 > x1)
    x0, x1 = torch.where(flip, x1, x0), torch.where(flip, x0, x1)
    y0, y1 = torch.where(flip, y1, y0), torch.where(flip, y0, y1)
    dx, dy = x1 - x0, y1 - y0
    slope = torch.where(steep, dx, dy) / torch.where(steep, dy, dx)

    # Column c is passed between the sub-pixel columns 5c + 2 and 5c + 3.
    first = _floor_div(torch.minimum(x0, x1) + 2).clamp(min=0)
    last = _floor_div(torch.maximum(x0, x1) - 3).clamp(max=width - 1)
    edges = torch.stack((x0, y0, slope, steep.double(), first))
    if dense:
        edge = torch.arange(len(points), device=points.device)[:, None]
        column = torch.arange(width, device=points.device).expand(len(points), width)
        count = ((column >= first[:, None]) & (column <= last[:, None])).to(torch.uint8)
        x0, y0, slope, steep, first = edges[..., None]
    else:
        per_edge = (last - first + 1).clamp(min=0).to(torch.int64)
        # The number is read from numpy: on the host it is no question to a device.
        edge = torch.repeat_interleave(per_edge, output_size=int(per_edge.numpy(force=True).sum()))
        x0, y0, slope, steep, first = edges.index_select(1, edge)
        column = first.to(torch.int64) + torch.arange(len(edge), device=edge.device)
        column -= (per_edge.cumsum(0) - per_edge).index_select(0, edge)
        count = torch.ones_like(edge, dtype=torch.uint8)

    mid = column.double() * _SCALE + 2
    # Edges along x: the walk is at (mid, v) and then at (mid + 1, v'); the lower number counts.
    step = mid - x0
    flat_v = torch.minimum(_round(y0, slope * step), _round(y0, slope * (step + 1)))
    # Edges along y: the first step whose x is beyond the middle, found within one of the exact solution.
    guess = torch.floor((step + 0.5) / slope)
    rightward = slope > 0
    steps = guess + 2
    for offset in (-1, 0, 1):
        x = _round(x0, slope * (guess + offset))
        steps = steps - (rightward ^ (x <= mid)).double()
    v = torch.where(steep > 0, y0 + steps - 1, flat_v)
    # Pairs that do not meet may have no number at all.
    row = _floor_div(v + 2).nan_to_num(0.0).clamp(min=0, max=height).to(torch.int64)
    return edge, column, row, count


def _floor_div(whole: Tensor) -> Tensor:
    """Return the sub-pixel at or below which a pixel begins; exact for whole numbers in float64."""
    return torch.floor(whole / _SCALE)


def _round(start: Tensor, way: Tensor) -> Tensor:
    """Return ``(int)(start + way + 0.5)`` of C, in float64 and in this order."""
    return (start + way + 0.5).trunc()
