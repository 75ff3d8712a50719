"""From a grid of occupied cells to the mesh around them."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lazycfg.structures import Meshes

__all__ = ["cubify"]

# A corner of a cell is 4 * x + 2 * y + z. Two triangles for each side, in the order of _SIDES.
_TRIANGLES = (
    ((0, 1, 2), (1, 3, 2)),
    ((2, 3, 6), (3, 7, 6)),
    ((0, 2, 6), (0, 6, 4)),
    ((0, 5, 1), (0, 4, 5)),
    ((6, 7, 5), (6, 5, 4)),
    ((1, 7, 3), (1, 5, 7)),
)
# The neighbour across a side, as a step in (y, x, z): left, bottom, front, up, right, back
_SIDES = ((0, -1, 0), (1, 0, 0), (0, 0, -1), (-1, 0, 0), (0, 1, 0), (0, 0, 1))


@torch.no_grad()
def cubify(
    voxels: Tensor, thresh: float, align: Literal["topleft", "corner", "center"] = "topleft"
) -> Meshes:
    """Make a mesh of the sides of occupied cells whose neighbour is free; cells share their vertices.

    Where two occupied cells touch at an edge only, four faces meet there. Waits for the device.

    Args:
        voxels: (N, D, H, W), indexed by z, y and x.
        thresh: a cell is occupied if its value is at least this.
        align: where the corners of a grid of W cells lie, in x (y and z likewise). "topleft": the first
            corner of each cell is at 2 i / (W - 1) - 1, so that a cell's value is at its first corner and
            the last corner is outside of [-1, 1]. "center": the same moved by half a cell, the value is at
            the centre of a cell. "corner": the corners of the grid are at -1 and 1.

    Returns:
        N meshes with vertices (x, y, z), in the order of the grid (y, then x, then z), and faces in the order
        of their cells; without any of a grid that is not occupied.

    Raises:
        ValueError: `voxels` has another number of dimensions, or a side of one cell where `align` is not
            "corner".
    """
    if voxels.dim() != 4:
        raise ValueError(f"cubify: voxels must be (N, D, H, W), got {tuple(voxels.shape)}")
    if align not in ("topleft", "corner", "center"):
        raise ValueError(f"cubify: align must be 'topleft', 'corner' or 'center', got {align!r}")
    n, depth, height, width = voxels.shape
    if align != "corner" and min(depth, height, width) < 2:
        raise ValueError(f"cubify: align={align!r} needs two cells or more a side, got {tuple(voxels.shape)}")
    occupied = (voxels >= thresh).permute(0, 2, 3, 1)
    around = F.pad(occupied, (1, 1, 1, 1, 1, 1))
    free = [
        ~around[:, 1 + y : 1 + y + height, 1 + x : 1 + x + width, 1 + z : 1 + z + depth] for y, x, z in _SIDES
    ]
    sides = torch.stack(free, dim=-1) & occupied.unsqueeze(-1)
    mesh, y, x, z, side = sides.nonzero().unbind(1)
    triangles = torch.tensor(_TRIANGLES, device=voxels.device)[side]  # (S, 2, 3)
    row = y[:, None, None] + (triangles >> 1 & 1)
    column = x[:, None, None] + (triangles >> 2)
    layer = z[:, None, None] + (triangles & 1)
    grid = (height + 1) * (width + 1) * (depth + 1)
    corners = (row * (width + 1) + column) * (depth + 1) + layer + mesh[:, None, None] * grid

    used = torch.zeros(n * grid, dtype=torch.bool, device=voxels.device)
    used[corners.flatten()] = True
    number = used.cumsum(0) - 1
    counts = torch.stack((used.view(n, grid).sum(1), 2 * torch.bincount(mesh, minlength=n))).tolist()
    at = used.nonzero().squeeze(1) % grid
    yxz = (at // ((width + 1) * (depth + 1)), at // (depth + 1) % (width + 1), at % (depth + 1))
    sizes = (height, width, depth)
    y_at, x_at, z_at = (_coordinates(i, size, align) for i, size in zip(yxz, sizes, strict=True))
    verts = torch.stack((x_at, y_at, z_at), dim=1)
    return Meshes.from_packed(verts, number[corners].view(-1, 3), counts[0], counts[1])


def _coordinates(index: Tensor, size: int, align: str) -> Tensor:
    if align == "corner":
        return index * 2.0 / size - 1
    return index * 2.0 / (size - 1) - 1 - (1 / (size - 1) if align == "center" else 0)
