"""Refinement of meshes by graph convolutions, and its losses (Mesh R-CNN, arXiv:1906.02739)."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lazycfg.layers import (
    GraphConv,
    SubdivideMeshes,
    chamfer_distance,
    mesh_edge_loss,
    sample_points_from_meshes,
    vert_align,
)
from lazycfg.structures import Meshes

__all__ = ["MeshRCNNGraphConvHead", "MeshRCNNGraphConvSubdHead", "MeshRefinementStage"]


class MeshRefinementStage(nn.Module):
    """Moves vertices by what the maps show where they are: features read there, graph convolutions, and an
    offset of at most 1 in each coordinate.

    Args:
        img_feat_dim: channels of the maps.
        vert_feat_dim: features of a vertex from the stage before; 0 for the first one.
        hidden_dim: of all layers.
        stage_depth: number of graph convolutions.
        gconv_init: their initialisation, "normal" or "zero".
    """

    def __init__(
        self,
        img_feat_dim: int,
        vert_feat_dim: int,
        hidden_dim: int,
        stage_depth: int,
        gconv_init: Literal["normal", "zero"] = "normal",
    ) -> None:
        super().__init__()
        self.bottleneck = nn.Linear(img_feat_dim, hidden_dim)
        nn.init.normal_(self.bottleneck.weight, std=0.01)
        nn.init.zeros_(self.bottleneck.bias)
        self.verts_offset = nn.Linear(hidden_dim + 3, 3)
        nn.init.zeros_(self.verts_offset.weight)
        nn.init.zeros_(self.verts_offset.bias)
        dims = [hidden_dim + vert_feat_dim + 3] + [hidden_dim + 3] * (stage_depth - 1)
        self.gconvs = nn.ModuleList(GraphConv(dim, hidden_dim, init=gconv_init) for dim in dims)

    def forward(
        self, x: Tensor, meshes: Meshes, edges: Tensor, vert_feats: Tensor | None = None
    ) -> tuple[Meshes, Tensor]:
        """Move the vertices of meshes.

        Args:
            x: (N, img_feat_dim, H, W).
            meshes: N meshes, x and y of their vertices in [-1, 1] of the maps.
            edges: (E, 2) of `meshes`.
            vert_feats: (V, vert_feat_dim) from the stage before.

        Returns:
            The meshes with their vertices moved, and features (V, hidden_dim).
        """
        image = vert_align(x, meshes, return_packed=True, padding_mode="border")
        image = F.relu(self.bottleneck(image))
        positions = meshes.verts_packed()
        features = image if vert_feats is None else torch.cat((vert_feats, image), dim=1)
        for gconv in self.gconvs:
            features = F.relu(gconv(torch.cat((features, positions), dim=1), edges))
        offsets = torch.tanh(self.verts_offset(torch.cat((features, positions), dim=1)))
        return meshes.offset_verts(offsets.to(meshes.verts_packed().dtype)), features


class MeshRCNNGraphConvHead(nn.Module):
    """Several `MeshRefinementStage`.

    Args:
        input_channels: of the pooled regions.
        num_stages: of refinement.
        num_graph_convs, graph_conv_dim, graph_conv_init: of each stage.
        chamfer_loss_weight, normals_loss_weight, edge_loss_weight: of the losses, summed over the stages.
        gt_num_samples, pred_num_samples: points drawn from a mesh to compare it.
        gt_coord_thresh: the losses of a batch count 0 if a point of the ground truth is further out than
            this, which the reference does against boxes that see a sliver of an object.
    """

    subdivide = False
    """Whether triangles are cut into four between the stages."""

    def __init__(
        self,
        *,
        input_channels: int,
        num_stages: int,
        num_graph_convs: int,
        graph_conv_dim: int,
        graph_conv_init: Literal["normal", "zero"] = "normal",
        chamfer_loss_weight: float = 1.0,
        normals_loss_weight: float = 0.1,
        edge_loss_weight: float = 1.0,
        gt_num_samples: int = 5000,
        pred_num_samples: int = 5000,
        gt_coord_thresh: float = 5.0,
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            MeshRefinementStage(
                input_channels,
                0 if i == 0 else graph_conv_dim,
                graph_conv_dim,
                num_graph_convs,
                graph_conv_init,
            )
            for i in range(num_stages)
        )
        self.loss_weights = {
            "loss_chamfer": chamfer_loss_weight,
            "loss_normals": normals_loss_weight,
            "loss_edge": edge_loss_weight,
        }
        self.gt_num_samples = gt_num_samples
        self.pred_num_samples = pred_num_samples
        self.gt_coord_thresh = gt_coord_thresh

    def forward(self, x: Tensor, meshes: Meshes) -> list[Meshes]:
        """Refine meshes in stages.

        Args:
            x: (N, input_channels, H, W) pooled regions.
            meshes: N meshes to begin with, in [-1, 1] of the regions.

        Returns:
            The meshes after each stage; none if there is no vertex.
        """
        out: list[Meshes] = []
        if meshes.isempty():
            return out
        features = None
        edges = meshes.edges_packed()
        for stage in self.stages:
            if out and self.subdivide and features is not None:
                meshes, features = SubdivideMeshes()(meshes, features)
                edges = meshes.edges_packed()
            meshes, features = stage(x, meshes, edges, features)
            out.append(meshes)
        return out

    def losses(self, refined: Sequence[Meshes], truth: Meshes) -> dict[str, Tensor]:
        """Return how far points (N, P, 3) drawn from the predictions of each stage are from points drawn from
        the truth.

        Args:
            refined: what `forward` returned.
            truth: N meshes, cropped to the regions.

        Returns:
            "loss_chamfer" (squared distance), "loss_normals" and "loss_edge" (squared length).
        """
        if not refined or truth.isempty():
            nothing = sum(p.sum() for p in self.parameters()) * 0.0
            return dict.fromkeys(self.loss_weights, nothing)
        with torch.no_grad():
            points, normals = sample_points_from_meshes(truth, self.gt_num_samples, return_normals=True)
            near = (points.abs().max() <= self.gt_coord_thresh).to(points.dtype)
        totals = dict.fromkeys(self.loss_weights, points.new_zeros(()))
        faces, edges = None, None
        for meshes in refined:
            if meshes.faces_packed() is not faces:
                faces, edges = meshes.faces_packed(), meshes.edges_packed()
            own, own_normals = sample_points_from_meshes(meshes, self.pred_num_samples, return_normals=True)
            weights = (meshes.valid & truth.valid).to(points.dtype)
            chamfer, angle = chamfer_distance(
                own, points, x_normals=own_normals, y_normals=normals, weights=weights
            )
            totals["loss_chamfer"] = totals["loss_chamfer"] + chamfer
            totals["loss_normals"] = totals["loss_normals"] + angle
            totals["loss_edge"] = totals["loss_edge"] + mesh_edge_loss(meshes, edges=edges)
        return {name: near * self.loss_weights[name] * total for name, total in totals.items()}


class MeshRCNNGraphConvSubdHead(MeshRCNNGraphConvHead):
    """`MeshRCNNGraphConvHead` that cuts each triangle into four between its stages (Pixel2Mesh,
    arXiv:1804.01654).
    """

    subdivide = True
