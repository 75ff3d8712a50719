"""A simple renderer: what a camera sees of a mesh, by a depth buffer."""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Rendering", "draw_mesh", "render_mesh"]

PAIRS = 2**22
"""Pairs of a face and a pixel that are looked at together."""


class Rendering(NamedTuple):
    """What is seen in each pixel."""

    depth: Tensor
    """(H, W), infinite where nothing is."""
    face: Tensor
    """(H, W) int64, -1 where nothing is."""
    weights: Tensor
    """(H, W, 3): how much each corner of the face counts there, in space (not on the screen)."""


@torch.no_grad()
def render_mesh(verts: Tensor, faces: Tensor, focal: float, size: tuple[int, int]) -> Rendering:
    """Find the nearest face behind each pixel's centre. Faces that reach behind the camera are left out.

    Args:
        verts: (V, 3) in camera coordinates: x left, y up, z ahead. faces: (F, 3).
        focal: length in pixels; the camera looks at the centre of the image.
        size: (height, width) in pixels.
    """
    height, width = size
    verts = verts.double()
    depth = torch.full((height * width,), float("inf"), dtype=torch.float64)
    face = torch.full((height * width,), -1)
    weights = torch.zeros(height * width, 3, dtype=torch.float64)
    corners = verts[faces]  # (F, 3, 3)
    kept = (corners[..., 2] > 1e-6).all(dim=1).nonzero().squeeze(1)
    corners = corners[kept]
    screen = torch.tensor([width, height]) / 2 - focal * corners[..., :2] / corners[..., 2:]
    # the pixels whose centres may be inside, as a rectangle for each face
    limit = torch.tensor([width, height])
    low = (screen.amin(1) - 0.5).ceil().clamp(min=0).minimum(limit).long()
    high = (screen.amax(1) - 0.5).floor().add(1).clamp(min=0).minimum(limit).long()
    sides = (high - low).clamp(min=0)
    counts = sides.prod(1)
    start = 0
    ends = counts.cumsum(0)
    while start < len(kept):
        done = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(torch.searchsorted(ends, done + PAIRS, right=True)))
        own = torch.arange(start, stop).repeat_interleave(counts[start:stop])
        step = torch.arange(len(own)) - (ends - counts)[own] + done
        x, y = low[own, 0] + step % sides[own, 0], low[own, 1] + step // sides[own, 0]
        _draw(own, x, y, screen, corners[..., 2], kept, width, (depth, face, weights))
        start = stop
    shape = (height, width)
    return Rendering(depth.view(shape).float(), face.view(shape), weights.view(*shape, 3).float())


def _draw(
    own: Tensor,
    x: Tensor,
    y: Tensor,
    screen: Tensor,
    z: Tensor,
    numbers: Tensor,
    width: int,
    buffers: tuple[Tensor, Tensor, Tensor],
) -> None:
    """Draw pairs of a face and a pixel into the buffers, where they are nearer than what is there."""
    depth, face, weights = buffers
    point = torch.stack((x, y), dim=1) + 0.5
    a, b, c = (screen[own, i] - point for i in range(3))
    areas = torch.stack((_cross(b, c), _cross(c, a), _cross(a, b)), dim=1)
    total = areas.sum(1, keepdim=True)
    on_screen = areas / total.where(total != 0, 1)
    inside = ((on_screen >= 0).all(1) & (total[:, 0] != 0)).nonzero().squeeze(1)
    own, at, on_screen = own[inside], (y * width + x)[inside], on_screen[inside]
    inverse = on_screen / z[own]
    here = 1 / inverse.sum(1)
    depth.scatter_reduce_(0, at, here, "amin")
    seen = (here == depth[at]).nonzero().squeeze(1)
    face[at[seen]] = numbers[own[seen]]
    weights[at[seen]] = inverse[seen] * here[seen, None]


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def draw_mesh(
    image: np.ndarray,
    verts: Tensor,
    faces: Tensor,
    focal: float,
    color: tuple[int, int, int] = (70, 160, 255),
    opacity: float = 0.75,
) -> np.ndarray:
    """Draw a mesh over an image, lit from the camera, with the lines between its faces where they are large
    enough to be seen.

    Args:
        image: (H, W, 3) uint8 RGB.
        verts, faces, focal: see `render_mesh`.

    Returns:
        (H, W, 3) uint8.
    """
    seen = render_mesh(verts, faces, focal, image.shape[:2])
    there = seen.face >= 0
    a, b, c = verts.float()[faces].unbind(1)
    normals = F.normalize(torch.linalg.cross(b - a, c - a), dim=1)
    to_camera = F.normalize((a + b + c) / 3, dim=1)
    light = 0.3 + 0.7 * (normals * to_camera).sum(1).abs()
    shade = light[seen.face.clamp(min=0)]
    edge = seen.weights.amin(dim=2) < 0.04
    shade = torch.where(edge, shade * 0.75, shade)
    drawn = shade[..., None] * torch.tensor(color)
    mixed = torch.from_numpy(np.ascontiguousarray(image)).float()
    mixed = torch.where(there[..., None], drawn * opacity + mixed * (1 - opacity), mixed)
    return mixed.clamp(0, 255).round().byte().numpy()
