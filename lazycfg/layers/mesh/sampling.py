"""Points on the surface of meshes."""

from typing import Literal, overload

import torch
from torch import Tensor

from lazycfg.structures import Meshes

__all__ = ["sample_points_from_meshes"]


@overload
def sample_points_from_meshes(
    meshes: Meshes,
    num_samples: int = ...,
    return_normals: Literal[False] = ...,
    generator: torch.Generator | None = ...,
) -> Tensor: ...
@overload
def sample_points_from_meshes(
    meshes: Meshes,
    num_samples: int = ...,
    *,
    return_normals: Literal[True],
    generator: torch.Generator | None = ...,
) -> tuple[Tensor, Tensor]: ...
def sample_points_from_meshes(
    meshes: Meshes,
    num_samples: int = 10000,
    return_normals: bool = False,
    generator: torch.Generator | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """Sample points uniformly from the surface of each mesh; gradients flow to the vertices.

    Args:
        num_samples: points of each mesh.
        return_normals: also give the unit normal of the face that each point is on.
        generator: what is drawn from.

    Returns:
        (N, num_samples, 3), and the normals likewise; zeros of a mesh without faces. A mesh all of whose
        faces are without area has its points on all of them alike.

    Raises:
        ValueError: no mesh has a face, or a vertex is not finite, which is looked for (waits for the device).
    """
    if meshes.isempty():
        raise ValueError(f"sample_points_from_meshes: none of {len(meshes)} meshes has a face")
    verts = meshes.verts_packed()
    if not bool(torch.isfinite(verts).all()):
        raise ValueError("sample_points_from_meshes: a vertex is not finite (inf or nan)")
    normals = meshes.face_normals()
    filled = [i for i, count in enumerate(meshes.faces_per_mesh) if count]
    rows = torch.tensor(filled).to(verts.device, non_blocking=True)
    with torch.no_grad():
        # float64, so that faces of large meshes do not vanish in the sum
        areas = meshes.pad_faces(normals.detach().double().norm(dim=1))[rows]
        is_face = meshes.pad_faces(torch.ones_like(normals[:, 0]))[rows]
        areas = torch.where(areas.sum(dim=1, keepdim=True) > 0, areas, is_face.to(areas.dtype))
        drawn = areas.multinomial(num_samples, replacement=True, generator=generator)
        face = drawn + meshes.mesh_to_faces_packed_first_idx()[rows].unsqueeze(1)  # (n, S)
        shape = (2, len(filled), num_samples)
        u, v = torch.rand(shape, device=verts.device, dtype=verts.dtype, generator=generator)
        root = u.sqrt()
        weights = torch.stack((1 - root, root * (1 - v), root * v), dim=2).unsqueeze(3)
    corners = verts[meshes.faces_packed()[face]]  # (n, S, 3, 3)
    points = _spread((corners * weights).sum(dim=2), rows, len(meshes))
    if not return_normals:
        return points
    length = normals.norm(dim=1, keepdim=True).clamp(min=torch.finfo(normals.dtype).eps)
    return points, _spread((normals / length)[face], rows, len(meshes))


def _spread(values: Tensor, rows: Tensor, count: int) -> Tensor:
    return values.new_zeros(count, *values.shape[1:]).index_copy(0, rows, values)
