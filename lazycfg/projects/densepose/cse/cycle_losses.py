"""Cycle losses of surface embeddings: from a point to another shape, or to the surface, and back near to it
(arXiv:2011.12438; Neverova et al., CVPR 2021).
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import combinations

import torch
from torch import Tensor, nn

from .embedders import Embedder, normalize_embeddings, without_autocast
from .mesh import Mesh

__all__ = ["GeodesicDistances", "PixToShapeCycleLoss", "ShapeToShapeCycleLoss"]


class GeodesicDistances(nn.Module):
    """Distances along the surfaces of meshes, read from their files when they are first needed.

    They stay on the device and move with the module, but are no part of its state_dict.

    Args:
        meshes: by name.
    """

    def __init__(self, meshes: Mapping[str, Mesh]) -> None:
        super().__init__()
        self.meshes = dict(meshes)
        for name in self.meshes:
            self.register_buffer(f"distances_{name}", None, persistent=False)

    def forward(self, mesh_name: str, embeddings: Tensor) -> Tensor:
        """Return the distances (V, V) between the vertices of a mesh.

        Args:
            embeddings: of its vertices, (V, D), on the device where the distances are needed.

        Raises:
            KeyError: the mesh is not among those given.
            FileNotFoundError, MeshFileError: its file cannot be read.
            ValueError: it has another number of vertices.
        """
        if mesh_name not in self.meshes:
            raise KeyError(
                f"the geodesic distances of mesh {mesh_name!r} are needed, but meshes has {list(self.meshes)}"
            )
        distances = getattr(self, f"distances_{mesh_name}")
        if distances is None or distances.device != embeddings.device:
            distances = self.meshes[mesh_name].read_geodists()
            if len(distances) != len(embeddings):
                raise ValueError(
                    f"mesh {mesh_name!r}: geodesic distances of {len(distances)} vertices, but its embedder "
                    f"has {len(embeddings)}: num_vertices={len(distances)}"
                )
            distances = distances.to(embeddings.device)
            setattr(self, f"distances_{mesh_name}", distances)
        return distances


class ShapeToShapeCycleLoss(nn.Module):
    """From vertices of one mesh to another mesh and back: what comes back far from its start costs.

    Each call draws one pair of the meshes, and vertices of both.

    Args:
        meshes: by name, with geodesic distances; between each two of them may be drawn.
        norm_p: the norm of all distances that is taken.
        temperature: of the softmax of similarities; lower is nearer to the most similar vertex.
        max_num_vertices: how many vertices of a mesh are drawn at most.
    """

    def __init__(
        self,
        *,
        meshes: Mapping[str, Mesh],
        norm_p: float = 2,
        temperature: float = 0.05,
        max_num_vertices: int = 4936,
    ) -> None:
        super().__init__()
        if len(meshes) < 2:
            raise ValueError(f"ShapeToShapeCycleLoss needs two meshes or more, got {list(meshes)}")
        self.geodists = GeodesicDistances(meshes)
        self.pairs = list(combinations(sorted(meshes), 2))
        self.norm_p = norm_p
        self.temperature = temperature
        self.max_num_vertices = max_num_vertices

    def forward(self, embedder: Embedder) -> Tensor:
        """Return the loss of one pair of meshes, shape ()."""
        first, second = random.choice(self.pairs)
        embeddings_1, geodists_1 = self._sample(embedder, first)
        embeddings_2, geodists_2 = self._sample(embedder, second)
        return shape_to_shape_cycle_loss(
            embeddings_1, embeddings_2, geodists_1, geodists_2, self.temperature, self.norm_p
        )

    def _sample(self, embedder: Embedder, mesh_name: str) -> tuple[Tensor, Tensor]:
        embeddings = embedder(mesh_name)
        geodists = self.geodists(mesh_name, embeddings)
        count = len(embeddings)
        if count <= self.max_num_vertices:
            return embeddings, geodists
        rows = torch.randperm(count, device=embeddings.device)[: self.max_num_vertices]
        return embeddings[rows], geodists[rows.unsqueeze(1), rows]


def shape_to_shape_cycle_loss(
    embeddings_1: Tensor,
    embeddings_2: Tensor,
    geodists_1: Tensor,
    geodists_2: Tensor,
    temperature: float,
    norm_p: float = 2,
) -> Tensor:
    """Return how far the way from one shape to the other and back leads from its start, on both.

    Args:
        embeddings_1, embeddings_2: (V1, D) and (V2, D), of length 1.
        geodists_1, geodists_2: (V1, V1) and (V2, V2).
        temperature: of the softmax of similarities.
        norm_p: the norm of all distances that is taken.
    """
    with without_autocast(embeddings_1):
        similarity = embeddings_1 @ embeddings_2.t() / temperature
        to_second, to_first = similarity.softmax(dim=1), similarity.t().softmax(dim=1)
        back_1 = torch.linalg.vector_norm(geodists_1 * (to_second @ to_first), ord=norm_p)
        back_2 = torch.linalg.vector_norm(geodists_2 * (to_first @ to_second), ord=norm_p)
        return back_1 + back_2


class PixToShapeCycleLoss(nn.Module):
    """From pixels of an object to a surface and back: what comes back far from its start costs.

    Args:
        norm_p: the norm of all distances of an object that is taken.
        use_all_meshes_not_gt_only: go to all meshes, not only to those that the batch has points on.
        num_pixels_to_sample: how many pixels of the true mask of an object are drawn at most.
        temperature_pix_to_vertex, temperature_vertex_to_pix: of the softmax of similarities.
    """

    def __init__(
        self,
        *,
        norm_p: float = 2,
        use_all_meshes_not_gt_only: bool = False,
        num_pixels_to_sample: int = 100,
        temperature_pix_to_vertex: float = 0.05,
        temperature_vertex_to_pix: float = 0.05,
    ) -> None:
        super().__init__()
        self.norm_p = norm_p
        self.use_all_meshes_not_gt_only = use_all_meshes_not_gt_only
        self.num_pixels_to_sample = num_pixels_to_sample
        self.temperature_pix_to_vertex = temperature_pix_to_vertex
        self.temperature_vertex_to_pix = temperature_vertex_to_pix

    def forward(
        self, embeddings: Tensor, masks: Tensor, embedder: Embedder, gt_mesh_names: Sequence[str]
    ) -> Tensor:
        """Return the mean over objects and meshes, a scalar.

        Args:
            embeddings: of pixels, (N, D, S, S).
            masks: true masks of the same objects, (N, S, S); not 0 is the object.
            embedder: of vertices.
            gt_mesh_names: the meshes that the batch has points on.
        """
        names = embedder.mesh_names if self.use_all_meshes_not_gt_only else tuple(gt_mesh_names)
        if not names or not len(embeddings):
            return embeddings.sum() * 0
        pixels, drawn = sample_pixels(masks != 0, self.num_pixels_to_sample)
        losses = [
            pix_to_shape_cycle_loss(
                embeddings,
                pixels,
                drawn,
                embedder(name),
                self.temperature_pix_to_vertex,
                self.temperature_vertex_to_pix,
                self.norm_p,
            )
            for name in names
        ]
        return torch.stack(losses).mean()


def sample_pixels(masks: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Draw different pixels of each mask, all with the same chance.

    Args:
        masks: (N, H, W) bool.
        count: how many of each; all of a mask that has fewer.

    Returns:
        (N, C) int64, numbers of pixels row by row, and (N, C) bool, which of these are of the mask; C is
        `count`, or H * W if that is less.
    """
    flat = masks.flatten(1)
    order = torch.rand(flat.shape, device=masks.device).masked_fill(~flat, -1.0)
    values, pixels = order.topk(min(count, flat.shape[1]), dim=1)
    return pixels, values >= 0


def pix_to_shape_cycle_loss(
    embeddings: Tensor,
    pixels: Tensor,
    drawn: Tensor,
    vertex_embeddings: Tensor,
    temperature_pix_to_vertex: float,
    temperature_vertex_to_pix: float,
    norm_p: float = 2,
) -> Tensor:
    """Return how far the way from pixels to a surface and back leads from its start: the mean over objects.

    Distances between pixels are squared; an object without a pixel costs nothing.

    Args:
        embeddings: of pixels, (N, D, H, W), not normalised.
        pixels: (N, C) int64, numbers of pixels row by row.
        drawn: (N, C) bool; the others are passed over.
        vertex_embeddings: (V, D), of length 1.
        temperature_pix_to_vertex, temperature_vertex_to_pix: of the softmax of similarities.
        norm_p: the norm of all distances of an object that is taken.
    """
    width = embeddings.shape[3]
    with without_autocast(embeddings):
        index = pixels.unsqueeze(1).expand(-1, embeddings.shape[1], -1)
        rows = embeddings.flatten(2).gather(2, index).transpose(1, 2).to(vertex_embeddings.dtype)
        rows = normalize_embeddings(rows.flatten(0, 1)).view_as(rows)
        similarity = rows @ vertex_embeddings.t()  # (N, C, V)
        to_vertex = (similarity / temperature_pix_to_vertex).softmax(dim=2)
        back = (similarity / temperature_vertex_to_pix).masked_fill(~drawn.unsqueeze(2), -torch.inf)
        back = torch.where(drawn.any(1)[:, None, None], back, 0.0).softmax(dim=1)
        cycle = to_vertex @ back.transpose(1, 2)  # (N, C, C)
        places = torch.stack((pixels % width, pixels // width), dim=2).to(rows.dtype)
        distances = (places.unsqueeze(2) - places.unsqueeze(1)).square().sum(3)
        distances = distances * (drawn.unsqueeze(2) & drawn.unsqueeze(1))
        return torch.linalg.vector_norm(distances * cycle, ord=norm_p, dim=(1, 2)).mean()
