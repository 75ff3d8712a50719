"""How alike two batches of meshes are."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lazycfg.layers import knn_points, sample_points_from_meshes
from lazycfg.structures import Meshes

__all__ = ["compare_meshes"]

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5)


@torch.no_grad()
def compare_meshes(
    pred: Meshes,
    truth: Meshes,
    *,
    num_samples: int = 10000,
    scale: str | float = "gt-10",
    thresholds: Sequence[float] = THRESHOLDS,
    eps: float = 1e-8,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """Compare points drawn from the surface of meshes.

    Args:
        pred, truth: N meshes each.
        num_samples: points drawn from each mesh.
        scale: "gt-S" scales both so that the longest side of the box around the truth is S; a number
            multiplies both.
        thresholds: distances within which a point counts as found.
        eps: keeps F1 finite.
        generator: what points are drawn from.

    Returns:
        (N,) each: "Chamfer-L2" (mean squared distance, both directions summed), "NormalConsistency" and
        "AbsNormalConsistency" (mean cosine between the normals of a point and its nearest one, of both
        directions, as it is and without its sign), and for each threshold t "Precision@t" (of predicted
        points, in percent), "Recall@t" (of true points) and "F1@t", t with six digits. A prediction without
        faces has zeros, and infinity for Chamfer-L2.

    Raises:
        ValueError: the batches are of different length, the truth has a mesh without faces, or a scale that
            is not known.
    """
    if len(pred) != len(truth):
        raise ValueError(f"compare_meshes: {len(pred)} predicted meshes and {len(truth)} true ones")
    if 0 in truth.faces_per_mesh:
        raise ValueError(f"compare_meshes: true mesh {truth.faces_per_mesh.index(0)} has no faces")
    pred, truth = _scaled(pred, truth, scale)
    there = pred.valid
    names = ["Chamfer-L2", "NormalConsistency", "AbsNormalConsistency"]
    names += [f"{name}@{t:f}" for t in thresholds for name in ("Precision", "Recall", "F1")]
    if not len(pred) or pred.isempty():
        out = {name: torch.zeros(len(pred), device=truth.device) for name in names}
        out["Chamfer-L2"] = out["Chamfer-L2"] + float("inf")
        return out
    p, p_normals = sample_points_from_meshes(pred, num_samples, return_normals=True, generator=generator)
    t, t_normals = sample_points_from_meshes(truth, num_samples, return_normals=True, generator=generator)
    found = knn_points(p, t)
    missed = knn_points(t, p)
    cosines = [
        (own * other.gather(1, near.idx.expand(-1, -1, 3))).sum(2)
        for own, other, near in ((p_normals, t_normals, found), (t_normals, p_normals, missed))
    ]
    values = [
        (found.dists.mean((1, 2)) + missed.dists.mean((1, 2))).where(there, float("inf")),
        (cosines[0].mean(1) + cosines[1].mean(1)) / 2,
        (cosines[0].abs().mean(1) + cosines[1].abs().mean(1)) / 2,
    ]
    for threshold in thresholds:
        precision, recall = (
            100.0 * (x.dists.sqrt() < threshold).float().mean((1, 2)) for x in (found, missed)
        )
        values += [precision, recall, 2 * precision * recall / (precision + recall + eps)]
    return {
        name: value if name == "Chamfer-L2" else value.where(there, 0)
        for name, value in zip(names, values, strict=True)
    }


def _scaled(pred: Meshes, truth: Meshes, scale: str | float) -> tuple[Meshes, Meshes]:
    if isinstance(scale, str):
        name, _, size = scale.partition("-")
        try:
            longest = float(size)
        except ValueError:
            longest = 0.0
        if name != "gt" or longest <= 0:
            raise ValueError(f'compare_meshes: scale must be a number or "gt-<number>", got {scale!r}')
        low, high = truth.get_bounding_boxes().unbind(2)
        factors = longest / (high - low).amax(dim=1).clamp(min=1e-8)
        return pred.scale_verts(factors), truth.scale_verts(factors)
    return pred.scale_verts(scale), truth.scale_verts(scale)
