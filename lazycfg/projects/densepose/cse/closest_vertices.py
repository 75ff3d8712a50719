"""From predicted embeddings to the vertices of meshes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lazycfg.projects.densepose.structures import (
    DensePoseEmbeddingPredictorOutput,
    IntBox,
    make_int_box,
)

from .embedders import Embedder, without_autocast

__all__ = [
    "ClosestVertices",
    "find_closest_vertices",
    "nearest_rows",
]

PIXELS_AT_ONCE = 2_000


@dataclass
class ClosestVertices:
    """The vertices that the pixels of one object show.

    Attributes:
        mesh_name: the mesh.
        box: left, top, width and height in whole pixels of the image.
        vertices: (height, width) int64, the vertex seen at each pixel of the box; -1 is the background.
    """

    mesh_name: str
    box: IntBox
    vertices: Tensor

    @property
    def mask(self) -> Tensor:
        """(height, width) bool: where the object is."""
        return self.vertices >= 0


def nearest_rows(points: Tensor, rows: Tensor, chunk: int = PIXELS_AT_ONCE) -> Tensor:
    """Return for each point the nearest row, by Euclidean distance.

    Args:
        points: (P, D).
        rows: (V, D).
        chunk: how many points are compared at once; memory is chunk * V numbers.

    Returns:
        (P,) int64.
    """
    if not len(points):
        return points.new_zeros(0, dtype=torch.int64)
    with without_autocast(points):
        points = points.to(rows.dtype)
        shift = rows.square().sum(1) / -2  # |p - r|^2 = |p|^2 - 2 (p r - |r|^2 / 2)
        return torch.cat([torch.addmm(shift, part, rows.t()).argmax(dim=1) for part in points.split(chunk)])


@torch.no_grad()
def find_closest_vertices(
    output: DensePoseEmbeddingPredictorOutput,
    boxes: Tensor,
    mesh_names: Sequence[str],
    embedder: Embedder,
    chunk: int = PIXELS_AT_ONCE,
) -> list[ClosestVertices]:
    """Return the vertex that each pixel of the boxes of N objects shows.

    Embeddings and segmentation are resized to the box, and each pixel that is not background takes the vertex
    with the nearest embedding.

    Args:
        output: of the objects.
        boxes: (N, 4) XYXY in pixels of the image.
        mesh_names: the mesh of each object, such as `Embedder.mesh_names_of` gives for classes.
        embedder: of the vertices.
        chunk: how many pixels are compared with the vertices at once.

    Raises:
        ValueError: the numbers of objects differ.
        KeyError: there is no embedder of a mesh.
    """
    if not len(output) == len(boxes) == len(mesh_names):
        raise ValueError(
            f"find_closest_vertices: {len(output)} outputs, {len(boxes)} boxes and {len(mesh_names)} meshes"
        )
    places = make_int_box(boxes)
    sizes = [w * h for _, _, w, h in places]
    device = output.embedding.device
    taps, weights, objects = _taps(places, output.embedding.shape[2:], device)
    background = _resized(output.coarse_segm, objects, taps, weights).argmax(dim=1) == 0
    vertices = torch.full((len(objects),), -1, dtype=torch.int64, device=device)
    names = sorted(set(mesh_names))
    of_mesh = torch.tensor([names.index(name) for name in mesh_names], dtype=torch.int64).to(device)
    for number, name in enumerate(names):
        rows = embedder(name)
        seen = (~background & (of_mesh[objects] == number)).nonzero().squeeze(1)
        parts = [
            nearest_rows(_resized(output.embedding, objects[p], taps[p], weights[p]), rows, chunk)
            for p in seen.split(chunk)
        ]
        vertices[seen] = torch.cat(parts)
    return [
        ClosestVertices(name, box, part.view(box[3], box[2]))
        for name, box, part in zip(mesh_names, places, vertices.split(sizes), strict=True)
    ]


def _taps(
    places: Sequence[IntBox], side: Sequence[int], device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Return how the pixels of all boxes, one after another, read maps (H, W): bilinear, between the centres
    of cells.

    Returns:
        (P, 4) int64 numbers of cells row by row, their weights (P, 4), and (P,) int64 the box of each pixel.
    """
    total = sum(w * h for _, _, w, h in places)
    sizes = torch.tensor([[w, h] for _, _, w, h in places], dtype=torch.int64).view(-1, 2)
    areas = sizes.prod(1)
    sizes, first = sizes.to(device), (areas.cumsum(0) - areas).to(device)
    objects = torch.arange(len(places), device=device).repeat_interleave(areas.to(device), output_size=total)
    local = torch.arange(total, device=device) - first[objects]
    width = sizes[objects, 0]
    x_low, x_high, x_weight = _neighbours(local % width, width, side[1])
    y_low, y_high, y_weight = _neighbours(local // width, sizes[objects, 1], side[0])
    cells = torch.stack([y * side[1] + x for y in (y_low, y_high) for x in (x_low, x_high)], dim=1)
    weights = torch.stack([v * u for v in (1 - y_weight, y_weight) for u in (1 - x_weight, x_weight)], dim=1)
    return cells, weights, objects


def _neighbours(pixels: Tensor, size: Tensor, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the cells before and behind the centres of pixels, and the weight of the one behind."""
    place = ((pixels + 0.5) * (side / size.float()) - 0.5).clamp(min=0)
    low = place.floor().clamp(max=side - 1)
    return low.long(), (low + 1).clamp(max=side - 1).long(), (place - low).clamp(max=1)


def _resized(maps: Tensor, objects: Tensor, taps: Tensor, weights: Tensor) -> Tensor:
    """Read maps (N, C, H, W) at pixels: (P, C)."""
    flat = maps.flatten(2).transpose(1, 2).flatten(0, 1)  # (N * H * W, C)
    cells = objects.unsqueeze(1) * (maps.shape[2] * maps.shape[3]) + taps
    return (flat[cells].float() * weights.unsqueeze(2)).sum(1)
