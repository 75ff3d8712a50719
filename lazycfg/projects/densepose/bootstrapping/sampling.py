"""From predictions of a teacher to annotations: points that it is sure of."""

from __future__ import annotations

from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from lazycfg.structures import Instances

from ..cse.closest_vertices import find_closest_vertices
from ..cse.embedders import Embedder
from ..structures import DensePoseDataRelative, chart_results, make_int_box

__all__ = ["ChartPointSampler", "EmbeddingPointSampler", "PointSampler", "ScoreBasedFilter", "pick_points"]

# Part (0 to 24) to coarse part
FINE_TO_COARSE = (0, 1, 1, 2, 3, 4, 5, 6, 7, 6, 7, 8, 9, 8, 9, 10, 11, 10, 11, 12, 13, 12, 13, 14, 14)
VARIANCES = ("sigma_1", "sigma_2", "kappa_u", "kappa_v")
Best = Literal["lowest", "highest"]


class ScoreBasedFilter:
    """Keeps the objects that a teacher is sure of.

    Args:
        min_score: of the objects that are kept.
    """

    def __init__(self, *, min_score: float = 0.8) -> None:
        self.min_score = min_score

    def __call__(self, instances: Instances) -> Instances:
        """Return the objects whose ``scores`` are high enough."""
        return instances[instances.scores >= self.min_score]


def pick_points(
    groups: Tensor,
    count: int,
    confidence: Tensor | None = None,
    *,
    best: Best = "highest",
    search_proportion: float = 0.5,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw points of each group: of all of them, or of those with the best confidences.

    Args:
        groups: (P,) int64, the group of each point.
        count: how many of each group; of a smaller group all.
        confidence: (P,), of the points; None to draw evenly.
        best: which confidences are better.
        search_proportion: the share of a group with the best confidences that is drawn from; not fewer points
            than `count`.
        generator: what to draw from, on the CPU.

    Returns:
        numbers of the chosen points, in ascending order.
    """
    if not len(groups):
        return groups
    if confidence is not None:
        order = confidence.argsort(descending=best == "highest", stable=True)
        rank, size = _ranks(groups, order)
        allowed = rank < torch.maximum((size * search_proportion).long(), torch.full_like(size, count))
    else:
        allowed = torch.ones_like(groups, dtype=torch.bool)
    chance = torch.rand(len(groups), generator=generator).to(groups.device)
    rank, _ = _ranks(groups, torch.where(allowed, chance, 2.0).argsort())
    return (allowed & (rank < count)).nonzero().squeeze(1)


def _ranks(groups: Tensor, order: Tensor) -> tuple[Tensor, Tensor]:
    """Return the place of each point among its group, where points come in an order, and its group's size."""
    _, number, sizes = torch.unique(groups, return_inverse=True, return_counts=True)
    order = order[number[order].argsort(stable=True)]  # group by group, each in the order
    first = sizes.cumsum(0) - sizes
    rank = torch.empty_like(groups)
    rank[order] = torch.arange(len(groups), device=groups.device) - first[number[order]]
    return rank, sizes[number]


class PointSampler(Protocol):
    """What turns predictions into annotations."""

    def __call__(
        self, instances: Instances, generator: torch.Generator | None = None
    ) -> list[DensePoseDataRelative]:
        """Return an annotation of each object.

        Args:
            instances: with ``pred_boxes``, ``pred_classes`` and ``pred_densepose``.
            generator: what to draw from, on the CPU.
        """
        ...


class ChartPointSampler:
    """Draws points of each part of an object, with the coordinates that are predicted there.

    Args:
        count_per_class: points of each part.
        confidence: of the outputs, such as "sigma_2" or "fine_segm_confidence": draw from the best half of
            the points of a part. None to draw evenly.
        best: which confidences are better; None: the lowest of a variance, else the highest.
        search_proportion: the share of the points of a part that is the best half.
    """

    def __init__(
        self,
        *,
        count_per_class: int = 8,
        confidence: str | None = None,
        best: Best | None = None,
        search_proportion: float = 0.5,
    ) -> None:
        self.count_per_class = count_per_class
        self.confidence = confidence
        self.best: Best = best or ("lowest" if confidence in VARIANCES else "highest")
        self.search_proportion = search_proportion

    @torch.no_grad()
    def __call__(
        self, instances: Instances, generator: torch.Generator | None = None
    ) -> list[DensePoseDataRelative]:
        """See `PointSampler`.

        Raises:
            ValueError: the predictions have no such confidence.
        """
        output, boxes = instances.pred_densepose, instances.pred_boxes.tensor
        masks = coarse_parts(output.coarse_segm, output.fine_segm)
        out = []
        for result, box, mask in zip(
            chart_results(output, boxes), make_int_box(boxes), masks.cpu(), strict=True
        ):
            seen = (result.labels > 0).nonzero()
            where = seen.unbind(1)
            parts = result.labels[where]
            chosen = pick_points(
                parts,
                self.count_per_class,
                self._confidence(result)[where] if self.confidence else None,
                best=self.best,
                search_proportion=self.search_proportion,
                generator=generator,
            )
            uv = result.uv[:, where[0], where[1]][:, chosen].clamp(0, 1).cpu()
            points = relative_points(seen[chosen], box)
            charts = {"dp_I": parts[chosen].cpu(), "dp_U": uv[0], "dp_V": uv[1]}
            out.append(DensePoseDataRelative({**points, **charts, "dp_masks": mask}))
        return out

    def _confidence(self, result: object) -> Tensor:
        values = getattr(result, self.confidence or "", None)
        if not isinstance(values, Tensor):
            raise ValueError(
                f"ChartPointSampler(confidence={self.confidence!r}): the teacher does not predict it; its "
                "predictor has a confidence_model_cfg"
            )
        return values


class EmbeddingPointSampler:
    """Draws points of an object, with the vertices that are seen there.

    Args:
        embedder: of the teacher: the embeddings of vertices, and the mesh of each class.
        count_per_class: points of each object.
        use_confidence: draw from the half of an object's points whose segmentation is the most confident.
        search_proportion: the share of the points that is the best half.
    """

    def __init__(
        self,
        *,
        embedder: Embedder,
        count_per_class: int = 8,
        use_confidence: bool = False,
        search_proportion: float = 0.5,
    ) -> None:
        self.embedder = embedder
        self.count_per_class = count_per_class
        self.use_confidence = use_confidence
        self.search_proportion = search_proportion

    @torch.no_grad()
    def __call__(
        self, instances: Instances, generator: torch.Generator | None = None
    ) -> list[DensePoseDataRelative]:
        """See `PointSampler`.

        Raises:
            ValueError: the predictions have no confidence, or a class has no mesh.
        """
        output, boxes = instances.pred_densepose, instances.pred_boxes.tensor
        confidences = getattr(output, "coarse_segm_confidence", None)
        if self.use_confidence and confidences is None:
            raise ValueError(
                "EmbeddingPointSampler(use_confidence=True): the teacher predicts no confidence; "
                "DensePoseEmbeddingWithConfidencePredictor does"
            )
        names = self.embedder.mesh_names_of(instances.pred_classes.tolist())
        found = find_closest_vertices(output, boxes, names, self.embedder)
        masks = coarse_parts(output.coarse_segm, None).cpu()
        out = []
        for row, (each, mask) in enumerate(zip(found, masks, strict=True)):
            seen = each.mask.nonzero()
            values = None
            if self.use_confidence:
                _, _, width, height = each.box
                resized = _resize(confidences[row : row + 1], (height, width))[0, 0]
                values = resized[seen.unbind(1)]
            chosen = pick_points(
                torch.zeros_like(seen[:, 0]),
                self.count_per_class,
                values,
                search_proportion=self.search_proportion,
                generator=generator,
            )
            points = relative_points(seen[chosen], each.box)
            vertices = each.vertices[seen[chosen].unbind(1)].cpu()
            out.append(
                DensePoseDataRelative(
                    {**points, "dp_vertex": vertices, "ref_model": each.mesh_name, "dp_masks": mask},
                    mesh_names=self.embedder.all_mesh_names,
                )
            )
        return out


def relative_points(pixels: Tensor, box: tuple[int, int, int, int]) -> dict[str, Tensor]:
    """Return the centres of pixels (P, 2), rows and columns of a box, as "dp_x" and "dp_y" (P,)."""
    _, _, width, height = box
    y, x = (pixels.cpu().float() + 0.5).unbind(1)
    return {"dp_x": x / width * 256, "dp_y": y / height * 256}


def coarse_parts(coarse_segm: Tensor, fine_segm: Tensor | None, side: int = 256) -> Tensor:
    """Return coarse segmentations as annotations have them, (N, side, side) float32.

    Args:
        coarse_segm: (N, C, H, W) logits; channel 0 is the background.
        fine_segm: (N, 25, H, W) logits of parts, of which labels 1 to 14 are made; None: of the object as a
            whole, label 1.
    """
    mask = _resize(coarse_segm, (side, side)).argmax(dim=1) > 0
    if fine_segm is None:
        return mask.float()
    labels = _resize(fine_segm, (side, side)).argmax(dim=1)
    table = torch.tensor(FINE_TO_COARSE, dtype=torch.float32, device=labels.device)
    return table[labels] * mask


def _resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(maps.float(), size, mode="bilinear", align_corners=False)
