"""Losses that keep meshes regular: short edges, smooth surfaces."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from lazycfg.structures import Meshes

__all__ = ["mesh_edge_loss", "mesh_laplacian_smoothing", "mesh_normal_consistency"]


def mesh_edge_loss(meshes: Meshes, target_length: float = 0.0, edges: Tensor | None = None) -> Tensor:
    """Mean of (length - target)**2 over the edges of a mesh, and of this over all meshes.

    A mesh without edges counts 0; without any mesh the loss is 0, with gradients of 0.

    Args:
        edges: `Meshes.edges_packed`, for those who have it already; finding it waits for the device.

    The result has the shape ().
    """
    if meshes.isempty():
        return meshes.verts_packed().sum() * 0
    edges = meshes.edges_packed() if edges is None else edges
    a, b = meshes.verts_packed()[edges].unbind(1)
    if target_length == 0:
        squares = (a - b).square().sum(dim=1)  # whose gradient exists at length 0, too
    else:
        squares = ((a - b).norm(dim=1) - target_length).square()
    return _mean_of_meshes(squares, meshes.verts_packed_to_mesh_idx()[edges[:, 0]], len(meshes))


def mesh_laplacian_smoothing(meshes: Meshes, method: Literal["uniform", "cot"] = "uniform") -> Tensor:
    """Mean distance of a vertex from the mean of its neighbours, over the vertices of a mesh, and of this
    over all meshes. Waits for the device.

    Args:
        method: neighbours are weighted alike, or by the cotangents of the two angles opposite to their edge
            (held constant for the gradient), which depends less on how the surface is cut into triangles.

    The result has the shape ().

    Raises:
        ValueError: there is no such `method`.
    """
    if method not in ("uniform", "cot"):
        raise ValueError(f"mesh_laplacian_smoothing: method must be 'uniform' or 'cot', got {method!r}")
    if meshes.isempty():
        return meshes.verts_packed().sum() * 0
    verts = meshes.verts_packed()
    if method == "uniform":
        edges = meshes.edges_packed()
        weights = verts.new_ones(len(edges))
    else:
        edges, weights = _cotangents(meshes)
    a, b = edges.unbind(1)
    total = torch.zeros_like(verts[:, 0]).index_add(0, a, weights).index_add(0, b, weights)
    around = torch.zeros_like(verts)
    around = around.index_add(0, a, verts[b] * weights[:, None]).index_add(0, b, verts[a] * weights[:, None])
    has_neighbours = total != 0
    mean = around / total.where(has_neighbours, 1).unsqueeze(1)
    distance = (mean - verts).norm(dim=1).where(has_neighbours, 0)
    return _mean_of_meshes(distance, meshes.verts_packed_to_mesh_idx(), len(meshes))


@torch.no_grad()
def _cotangents(meshes: Meshes) -> tuple[Tensor, Tensor]:
    """Return the edge opposite to each corner of each face (3 F, 2), and the cotangent of the angle there."""
    corners = meshes.verts_packed()[meshes.faces_packed()]
    after, before = corners.roll(-1, 1), corners.roll(-2, 1)
    u, v = after - corners, before - corners
    cotangent = (u * v).sum(2) / torch.linalg.cross(u, v).norm(dim=2).clamp(min=1e-6)
    faces = meshes.faces_packed()
    return torch.stack((faces.roll(-1, 1), faces.roll(-2, 1)), dim=2).flatten(0, 1), cotangent.flatten()


def mesh_normal_consistency(meshes: Meshes) -> Tensor:
    """Mean of 1 - cos of the angle between neighbouring faces, over the pairs of faces that share an edge,
    and of this over all meshes. Waits for the device.

    It is 0 of what is flat. Which way round the corners of a face are written does not matter. Where more
    than two faces meet at an edge, each two of them are a pair.

    The result has the shape ().
    """
    if meshes.isempty():
        return meshes.verts_packed().sum() * 0
    verts, faces = meshes.verts_packed(), meshes.faces_packed()
    edges, edge_of_face = meshes.edges()
    edge, order = edge_of_face.t().flatten().sort(stable=True)
    a, b = edges[edge].unbind(1)
    opposite = faces.t().flatten()[order]  # the corner that faces edge bc is a, and so on
    normal = torch.linalg.cross(verts[b] - verts[a], verts[opposite] - verts[a])
    most = int(torch.bincount(edge).max())
    firsts, seconds = [], []
    for step in range(1, most):
        first = (edge[step:] == edge[:-step]).nonzero().squeeze(1)
        firsts.append(first)
        seconds.append(first + step)
    if not firsts:
        return verts.sum() * 0
    first, second = torch.cat(firsts), torch.cat(seconds)
    # the two corners lie on opposite sides of a flat edge, so do the normals seen from it
    values = 1 + F.cosine_similarity(normal[first], normal[second], dim=1)
    return _mean_of_meshes(values, meshes.verts_packed_to_mesh_idx()[a[first]], len(meshes))


def _mean_of_meshes(values: Tensor, mesh: Tensor, count: int) -> Tensor:
    """Mean of values (K,) in each mesh (K,), and the mean of these over `count` meshes."""
    own = torch.bincount(mesh, minlength=count)
    return (values / own[mesh]).sum() / count
