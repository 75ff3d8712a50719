"""What a camera sees in a box, straightened: from camera coordinates to [-1, 1] and back.

In camera coordinates x points left, y up and z ahead; a point is seen at column w/2 - f x / z and line
h/2 - f y / z. `K` is (f, w/2, h/2): the focal length and the centre of the image, in pixels. Between the
nearest and the farthest depth of an object, a box of the image is a frustum with its tip in the camera. One
projective transform takes it to the cube [-1, 1], in which lines of sight are parallel. It is written down
directly here, where the reference solves for it with a singular value decomposition for each box.
"""

import torch
from torch import Tensor

from lazycfg.modeling.poolers import image_index
from lazycfg.structures import Meshes

from .structures import VoxelInstances

__all__ = [
    "crop_meshes",
    "crop_voxels",
    "from_unit_box",
    "meshes_before_camera",
    "place_meshes",
    "sight_lines",
    "to_unit_box",
]

EPS = 1e-6
"""A frustum thinner than this is taken for one as thin as this."""


def sight_lines(boxes: Tensor, K: Tensor) -> Tensor:
    """Return the slopes x/z and y/z of the sides of boxes.

    Args:
        boxes: (R, 4) XYXY in pixels.
        K: (R, 3), of the image of each box.

    Returns:
        (R, 4): smallest and largest x/z, smallest and largest y/z; the largest are at the left and the top.
    """
    focal, center = K[:, :1], K[:, 1:]
    low, high = (center - 1 - boxes[:, 2:]) / focal, (center - 1 - boxes[:, :2]) / focal
    return torch.stack((low[:, 0], high[:, 0], low[:, 1], high[:, 1]), dim=1)


def to_unit_box(points: Tensor, lines: Tensor, depths: Tensor) -> Tensor:
    """Take frusta to [-1, 1]: the axes stay as they point.

    Args:
        points: (..., 3) in camera coordinates, with z > 0.
        lines: (..., 4), see `sight_lines`; depths: (..., 2) the z of the near and of the far side.
    """
    z = points[..., 2:]
    low, high = lines[..., ::2], lines[..., 1::2]
    across = (2 * points[..., :2] / z - (low + high)) / (high - low).clamp(min=EPS)
    near, far = depths[..., :1], depths[..., 1:]
    ahead = (near + far - 2 * near * far / z) / (far - near).clamp(min=EPS)
    return torch.cat((across, ahead), dim=-1)


def from_unit_box(points: Tensor, lines: Tensor, depths: Tensor) -> Tensor:
    """Take points (..., 3) of [-1, 1] back into their frusta: undo `to_unit_box`, with the same arguments."""
    near, far = depths[..., :1], depths[..., 1:]
    z = 2 * near * far / (near + far - points[..., 2:] * (far - near).clamp(min=EPS))
    low, high = lines[..., ::2], lines[..., 1::2]
    across = (points[..., :2] * (high - low).clamp(min=EPS) + (low + high)) / 2 * z
    return torch.cat((across, z), dim=-1)


def _flipped(points: Tensor) -> Tensor:
    """Turn x and y round: from left and up to the right and down of images, or back."""
    return points * points.new_tensor([-1, -1, 1])


def crop_meshes(meshes: Meshes, boxes: Tensor, K: Tensor) -> Meshes:
    """Take what each box sees of its mesh to [-1, 1], x to the right and y down as in the box.

    Args:
        meshes: R meshes in camera coordinates.
        boxes: (R, 4) XYXY in pixels; K: (R, 3).

    Returns:
        R whole meshes: what lies outside of a box lies outside of [-1, 1].
    """
    index = meshes.verts_packed_to_mesh_idx()
    depths = meshes.get_bounding_boxes()[:, 2]
    lines = sight_lines(boxes, K)
    return meshes.with_verts(_flipped(to_unit_box(meshes.verts_packed(), lines[index], depths[index])))


def place_meshes(meshes: Meshes, boxes: Tensor, K: Tensor, depths: Tensor) -> Meshes:
    """Undo `crop_meshes`, given where the objects begin and end: depths (R, 2)."""
    index = meshes.verts_packed_to_mesh_idx()
    lines = sight_lines(boxes, K)
    return meshes.with_verts(from_unit_box(_flipped(meshes.verts_packed()), lines[index], depths[index]))


def meshes_before_camera(
    meshes: Meshes, boxes: Tensor, extents: Tensor, focal: float, size: tuple[int, int], distance: float
) -> Meshes:
    """Put predicted meshes where they are seen.

    Args:
        meshes: R meshes in [-1, 1] of their boxes, as they are predicted.
        boxes: (R, 4) XYXY in pixels of the image.
        extents: (R, 1) how far they reach in depth, in heights of the box (``pred_dz``).
        focal: length of the camera in pixels; size: (height, width) of the image.
        distance: depth of the centres of all meshes; they are as large as it is.
    """
    boxes = boxes.float()
    extent = extents[:, 0].float() * (boxes[:, 3] - boxes[:, 1]) * distance / focal
    # nothing is nearer than a hundredth of the distance, or the frustum has no tip
    half = (extent / 2).clamp(max=0.99 * distance)
    depths = torch.stack((distance - half, distance + half), dim=1)
    K = boxes.new_tensor([focal, size[1] / 2, size[0] / 2]).expand(len(boxes), 3)
    return place_meshes(meshes, boxes, K, depths)


@torch.no_grad()
def crop_voxels(voxels: VoxelInstances, boxes: Tensor, K: Tensor, side: int) -> Tensor:
    """Draw what each box sees of its voxels into a grid.

    Args:
        voxels: of R objects, in camera coordinates.
        boxes: (R, 4) XYXY in pixels; K: (R, 3).
        side: cells of a side.

    Returns:
        (R, side, side, side) bool, indexed by z, y (from the top) and x (from the left).
    """
    points, counts = voxels.packed()
    points = points.to(boxes.device, boxes.dtype)
    index = image_index(counts, points).long() if counts else points.new_zeros(0, dtype=torch.int64)
    near = points.new_full((len(counts),), float("inf")).scatter_reduce(0, index, points[:, 2], "amin")
    far = points.new_full((len(counts),), -float("inf")).scatter_reduce(0, index, points[:, 2], "amax")
    depths = torch.stack((near, far), dim=1)
    unit = to_unit_box(points, sight_lines(boxes, K)[index], depths[index])
    cell = ((unit + 1) * ((side - 1) / 2)).clamp(-1, side).long()  # cut towards 0
    inside = ((cell >= 0) & (cell < side)).all(dim=1)
    x, y, z = cell.unbind(1)
    at = ((index * side + z) * side + (side - 1 - y)) * side + (side - 1 - x)
    grid = torch.zeros(len(counts) * side**3 + 1, dtype=torch.bool, device=boxes.device)
    grid[at.where(inside, len(grid) - 1)] = True  # what is outside goes into the last place
    return grid[:-1].view(len(counts), side, side, side)
