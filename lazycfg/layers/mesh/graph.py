"""Layers on the graph of a mesh, and features of its vertices out of maps."""

from collections.abc import Sequence
from typing import Literal, overload

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lazycfg.structures import Meshes

__all__ = ["GraphConv", "SubdivideMeshes", "vert_align"]


class GraphConv(nn.Module):
    """A graph convolution: one linear layer of a vertex plus the sum of another one over its neighbours.

    Args:
        input_dim, output_dim: features of a vertex.
        init: "normal" (standard deviation 0.01) or "zero"; biases are zero.
        directed: an edge (a, b) brings features from b to a only.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        *,
        init: Literal["normal", "zero"] = "normal",
        directed: bool = False,
    ) -> None:
        super().__init__()
        if init not in ("normal", "zero"):
            raise ValueError(f"GraphConv: init must be 'normal' or 'zero', got {init!r}")
        self.directed = directed
        self.w0 = nn.Linear(input_dim, output_dim)
        self.w1 = nn.Linear(input_dim, output_dim)
        for linear in (self.w0, self.w1):
            nn.init.normal_(linear.weight, std=0.01) if init == "normal" else nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, verts: Tensor, edges: Tensor) -> Tensor:
        """Convolve the features of vertices along the edges.

        Args:
            verts: (V, input_dim) features.
            edges: (E, 2) int64, rows of `verts`.

        Returns:
            (V, output_dim).
        """
        own, of_neighbours = self.w0(verts), self.w1(verts)
        a, b = edges.unbind(1)
        total = own.index_add(0, a, of_neighbours[b])
        return total if self.directed else total.index_add(0, b, of_neighbours[a])


class SubdivideMeshes(nn.Module):
    """Cut each triangle into four at the midpoints of its edges."""

    @overload
    def forward(self, meshes: Meshes, feats: None = None) -> Meshes: ...
    @overload
    def forward(self, meshes: Meshes, feats: Tensor) -> tuple[Meshes, Tensor]: ...
    def forward(self, meshes: Meshes, feats: Tensor | None = None) -> Meshes | tuple[Meshes, Tensor]:
        """Cut the triangles of meshes. Waits for the device.

        Args:
            feats: features (V, C) of the vertices, packed; those of a new vertex are the mean of its edge's.

        Returns:
            The meshes, in each the old vertices and then one for each edge (in the order of
            `Meshes.edges`), and four blocks of faces: at the first, second and third corner, and the middle;
            and with `feats` the features of all vertices, packed.
        """
        n = len(meshes)
        edges, edge_of_face = meshes.edges()
        mesh_of_vert = meshes.verts_packed_to_mesh_idx()
        mesh_of_face = meshes.faces_packed_to_mesh_idx()
        mesh_of_edge = mesh_of_vert[edges[:, 0]]
        edge_counts = torch.bincount(mesh_of_edge, minlength=n)
        edges_before = edge_counts.cumsum(0) - edge_counts
        edges_per_mesh = edge_counts.tolist()

        verts_per_mesh, faces_per_mesh = meshes.verts_per_mesh, meshes.faces_per_mesh
        verts_until = meshes.mesh_to_verts_packed_first_idx() + _on(verts_per_mesh, edges)
        old_at = torch.arange(len(mesh_of_vert), device=edges.device) + edges_before[mesh_of_vert]
        new_at = torch.arange(len(edges), device=edges.device) + verts_until[mesh_of_edge]
        place = torch.cat((old_at, new_at))

        a, b, c = old_at[meshes.faces_packed()].unbind(1)
        bc, ca, ab = new_at[edge_of_face].unbind(1)
        corners = ((a, ab, ca), (b, bc, ab), (c, ca, bc), (bc, ca, ab))
        blocks = torch.stack([torch.stack(own, dim=1) for own in corners])  # (4, F, 3)
        first = meshes.mesh_to_faces_packed_first_idx()[mesh_of_face]
        local = torch.arange(len(mesh_of_face), device=edges.device) - first
        size = _on(faces_per_mesh, edges)[mesh_of_face]
        at = 4 * first + local + size * torch.arange(4, device=edges.device)[:, None]
        faces = torch.empty_like(blocks.view(-1, 3)).index_copy(0, at.flatten(), blocks.view(-1, 3))

        verts = _with_midpoints(meshes.verts_packed(), edges, place)
        out = Meshes.from_packed(
            verts,
            faces,
            [v + e for v, e in zip(verts_per_mesh, edges_per_mesh, strict=True)],
            [4 * count for count in faces_per_mesh],
        )
        return out if feats is None else (out, _with_midpoints(feats, edges, place))


def _on(counts: Sequence[int], like: Tensor) -> Tensor:
    return torch.tensor(counts, dtype=torch.int64).to(like.device, non_blocking=True)


def _with_midpoints(values: Tensor, edges: Tensor, place: Tensor) -> Tensor:
    """Values (V, C) and the means (E, C) of edges, each put where `place` (V + E,) says."""
    both = torch.cat((values, values[edges].mean(dim=1)))
    return torch.empty_like(both).index_copy(0, place, both)


def vert_align(
    feats: Tensor | Sequence[Tensor],
    verts: Meshes | Tensor,
    *,
    return_packed: bool = False,
    padding_mode: Literal["zeros", "border"] = "zeros",
    align_corners: bool = True,
) -> Tensor:
    """Read features at the positions of vertices, bilinearly.

    Args:
        feats: (N, C, H, W), or several such maps, whose features are concatenated.
        verts: meshes, or (N, V, 2 or more): x and y in [-1, 1], from the left and upper border to the right
            and lower one.
        return_packed: give the features of the vertices of all meshes, packed.
        padding_mode: what is outside: zeros, or the value at the border.
        align_corners: -1 and 1 are the centres of the outermost pixels; else their outer borders.

    Returns:
        (N, V_max, C) or, packed, (V, C).

    Raises:
        ValueError: a map of another shape or batch; `return_packed` of a tensor.
    """
    maps = [feats] if isinstance(feats, Tensor) else list(feats)
    if return_packed and not isinstance(verts, Meshes):
        raise ValueError("vert_align: return_packed needs Meshes, which know where vertices end")
    positions = verts.verts_padded() if isinstance(verts, Meshes) else verts
    for x in maps:
        if x.dim() != 4 or len(x) != len(positions):
            raise ValueError(
                f"vert_align: a map must be ({len(positions)}, C, H, W), for each mesh, got {tuple(x.shape)}"
            )
    grid = positions[:, None, :, :2]
    read = [
        F.grid_sample(x.to(grid.dtype), grid, padding_mode=padding_mode, align_corners=align_corners)
        for x in maps
    ]
    out = torch.cat(read, dim=1).squeeze(2).transpose(1, 2)
    return verts.pack_verts(out) if return_packed and isinstance(verts, Meshes) else out
