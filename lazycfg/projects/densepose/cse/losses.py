"""Losses of surface embeddings (arXiv:2011.12438)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lazycfg.modeling.batched_instances import cat_field
from lazycfg.modeling.roi_heads.mask_head import mask_targets
from lazycfg.structures import Instances

from ..modeling.losses.packing import annotations_of, on_host, pack_points
from ..modeling.losses.sampling import PointSampler
from ..modeling.losses.segm import MaskOrSegmentationLoss
from ..structures.annotations import DensePoseDataRelative
from ..structures.cse_outputs import DensePoseEmbeddingPredictorOutput
from .cycle_losses import GeodesicDistances, PixToShapeCycleLoss, ShapeToShapeCycleLoss
from .embedders import Embedder, normalize_embeddings, without_autocast
from .mesh import Mesh

__all__ = [
    "DensePoseCseLoss",
    "EmbeddingLoss",
    "SoftEmbeddingLoss",
    "squared_euclidean_distance_matrix",
]

Annotations = Sequence[DensePoseDataRelative | None]


def squared_euclidean_distance_matrix(points: Tensor, others: Tensor) -> Tensor:
    """Return the squared distances (P, V) between (P, D) and (V, D)."""
    squares = points.square().sum(1, keepdim=True) + others.square().sum(1)
    return squares - 2 * points @ others.t()


class EmbeddingLoss(nn.Module):
    """Each annotated point is classified among all vertices of its mesh, nearer embeddings being likelier.

    Args:
        embdist_gauss_sigma: the squared distance of embeddings that divides likelihoods by e.
    """

    def __init__(self, *, embdist_gauss_sigma: float = 0.01) -> None:
        super().__init__()
        self.embdist_gauss_sigma = embdist_gauss_sigma

    def forward(
        self,
        proposals_with_gt: Sequence[Instances],
        densepose_predictor_outputs: DensePoseEmbeddingPredictorOutput,
        embedder: Embedder,
        annotations: Annotations | None = None,
    ) -> dict[str, Tensor]:
        """Return the mean over the points of each mesh, by its name; 0 of a mesh without points.

        Args:
            proposals_with_gt: per image, with ``proposal_boxes``, ``gt_boxes``, ``gt_densepose``; R in all.
            densepose_predictor_outputs: with ``embedding`` (R, D, S, S).
            embedder: of the vertices.
            annotations: those of the proposals, if they are known already.

        Raises:
            ValueError: an annotation is of a mesh without an embedder, or of a vertex that there is not.
        """
        annotations = annotations_of(proposals_with_gt) if annotations is None else annotations
        maps = densepose_predictor_outputs.embedding
        check_annotations(annotations, embedder)
        losses = {}
        for name in embedder.mesh_names:
            of_mesh = annotations_of_mesh(annotations, embedder.mesh_ids[name])
            points = pack_points(of_mesh, ("x", "y", "vertex_ids"), maps.device)
            vertices = embedder(name)
            if not len(points):
                # every parameter has a part in every step, so that processes can wait for each other
                losses[name] = maps[:0].sum() + vertices.sum() * 0
                continue
            boxes = [cat_field(proposals_with_gt, field) for field in ("gt_boxes", "proposal_boxes")]
            sampler = PointSampler(points.pairs, points["x"], points["y"], *boxes, maps.shape[2:])
            labels = points["vertex_ids"].long()
            valid = sampler.valid & (labels >= 0)
            with without_autocast(maps):
                embeddings = normalize_embeddings(sampler.channels(maps))
                distances = squared_euclidean_distance_matrix(embeddings.to(vertices.dtype), vertices)
                scores = distances / -self.embdist_gauss_sigma
                of_points = self.losses_of_points(name, scores, labels.clamp(min=0), vertices)
            losses[name] = torch.where(valid, of_points, 0).sum() / valid.sum().clamp(min=1)
        return losses

    def losses_of_points(self, mesh_name: str, scores: Tensor, labels: Tensor, vertices: Tensor) -> Tensor:
        """Return the loss (P,) of each point.

        Args:
            mesh_name: the mesh.
            scores: (P, V) logits of the vertices.
            labels: (P,) int64, the true vertex.
            vertices: (V, D), their embeddings.
        """
        return F.cross_entropy(scores, labels, reduction="none")


class SoftEmbeddingLoss(EmbeddingLoss):
    """As `EmbeddingLoss`, where vertices near to the true one along the surface are right, too.

    Args:
        meshes: by name, with geodesic distances.
        embdist_gauss_sigma: see `EmbeddingLoss`.
        geodist_gauss_sigma: the geodesic distance that divides the share of a vertex by e.
    """

    def __init__(
        self,
        *,
        meshes: Mapping[str, Mesh],
        embdist_gauss_sigma: float = 0.01,
        geodist_gauss_sigma: float = 0.01,
    ) -> None:
        super().__init__(embdist_gauss_sigma=embdist_gauss_sigma)
        self.geodists = GeodesicDistances(meshes)
        self.geodist_gauss_sigma = geodist_gauss_sigma

    def losses_of_points(self, mesh_name: str, scores: Tensor, labels: Tensor, vertices: Tensor) -> Tensor:
        """Return the (P,) losses of points with scores (P, V), by distances from their vertices."""
        distances = self.geodists(mesh_name, vertices)[labels]
        shares = (distances / -self.geodist_gauss_sigma).softmax(dim=1)
        return -(shares * scores.log_softmax(dim=1)).sum(dim=1)


class DensePoseCseLoss(nn.Module):
    """All losses of continuous surface embeddings.

    Args:
        embed_loss: of the annotated points.
        segm_loss: of the coarse segmentation.
        w_embed, w_segm: their weights.
        shape2shape_loss, w_shape2shape: between meshes, and its weight; None for none.
        pix2shape_loss, w_pix2shape: between pixels and meshes, and its weight; None for none.
    """

    def __init__(
        self,
        *,
        embed_loss: EmbeddingLoss,
        segm_loss: MaskOrSegmentationLoss,
        w_embed: float = 0.6,
        w_segm: float = 5.0,
        shape2shape_loss: ShapeToShapeCycleLoss | None = None,
        w_shape2shape: float = 0.025,
        pix2shape_loss: PixToShapeCycleLoss | None = None,
        w_pix2shape: float = 0.0001,
    ) -> None:
        super().__init__()
        self.embed_loss, self.w_embed = embed_loss, w_embed
        self.segm_loss, self.w_segm = segm_loss, w_segm
        self.shape2shape_loss, self.w_shape2shape = shape2shape_loss, w_shape2shape
        self.pix2shape_loss, self.w_pix2shape = pix2shape_loss, w_pix2shape

    def forward(
        self,
        proposals_with_gt: Sequence[Instances],
        densepose_predictor_outputs: DensePoseEmbeddingPredictorOutput,
        embedder: Embedder,
    ) -> dict[str, Tensor]:
        """Return "loss_densepose_S", "loss_densepose_E<mesh>" of each mesh, and "loss_shape2shape" and
        "loss_pix2shape" if they are on.

        Args:
            proposals_with_gt: per image, with ``proposal_boxes``, ``gt_boxes`` and ``gt_densepose``, and
                ``gt_masks`` where segmentation or pixels are trained by masks; R in all.
            densepose_predictor_outputs: of the R proposals.
            embedder: of the vertices.
        """
        annotations = annotations_of(proposals_with_gt)
        arguments = (proposals_with_gt, densepose_predictor_outputs)
        losses = {"loss_densepose_S": self.w_segm * self.segm_loss(*arguments, annotations)}
        for name, loss in self.embed_loss(*arguments, embedder, annotations).items():
            losses[f"loss_densepose_E{name}"] = self.w_embed * loss
        if self.shape2shape_loss is not None:
            losses["loss_shape2shape"] = self.w_shape2shape * self.shape2shape_loss(embedder)
        if self.pix2shape_loss is not None:
            embeddings = densepose_predictor_outputs.embedding
            present = {data.mesh_id for data in annotations if data is not None and len(data.x)}
            names = [name for name in embedder.mesh_names if embedder.mesh_ids[name] in present]
            masks = (
                mask_targets(proposals_with_gt, embeddings.shape[3]) if len(embeddings) else embeddings[:, 0]
            )
            loss = self.pix2shape_loss(embeddings, masks, embedder, names)
            losses["loss_pix2shape"] = self.w_pix2shape * loss
        return losses


def annotations_of_mesh(annotations: Annotations, mesh_id: int) -> list[DensePoseDataRelative | None]:
    """Return the annotations with None in the place of those on other meshes."""
    return [data if data is not None and data.mesh_id == mesh_id else None for data in annotations]


def check_annotations(annotations: Annotations, embedder: Embedder) -> None:
    """Raise ValueError if a point is on a mesh, or at a vertex, that has no embedding.

    Annotations without vertices are not judged.
    """
    names = {number: name for name, number in embedder.mesh_ids.items()}
    for data in {id(data): data for data in annotations if data is not None}.values():
        if data.vertex_ids is None or not len(data.vertex_ids):
            continue
        if data.mesh_id not in names:
            raise ValueError(
                f"DensePose: an object has points on mesh number {data.mesh_id}, but there are embedders of "
                f"{names} only: add one to model.roi_heads.embedder.embedders"
            )
        name = names[data.mesh_id]
        last, count = int(on_host(data.vertex_ids).max()), embedder.num_vertices(name)
        if last >= count:
            raise ValueError(
                f"DensePose: an object has a point at vertex {last} of mesh {name!r}, whose embedder has "
                f"{count}: num_vertices"
            )
