"""Nearest neighbours and distances between clouds of points."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["KNN", "chamfer_distance", "knn_points"]

CHUNK = 2**20
"""Distances that are in memory at a time: with what is added to them, 8 MiB of float32."""


class KNN(NamedTuple):
    """The nearest neighbours of points, the nearest first."""

    dists: Tensor
    """(N, P, K) squared distances."""
    idx: Tensor
    """(N, P, K) int64 rows of the second cloud."""


def knn_points(
    p1: Tensor,
    p2: Tensor,
    lengths1: Tensor | None = None,
    lengths2: Tensor | None = None,
    K: int = 1,
    chunk: int = CHUNK,
) -> KNN:
    """Find the K nearest points of the second cloud for each point of the first one.

    Distances are of the coordinates themselves, not of an expanded square, so that near points far from the
    origin keep their digits. Gradients flow through them.

    Args:
        p1: (N, P, D). p2: (N, Q, D).
        lengths1, lengths2: (N,) how many points of each cloud are real; all, if left out. Of those behind
            the end of `p1` the distance and the index are 0.
        chunk: at most so many distances are in memory at a time (of one row of P at least).

    Raises:
        ValueError: shapes that do not fit, or fewer than K points in `p2`. In `lengths2` it is not looked
            for, to not wait for the device: distances to points there are not are infinite.
    """
    if p1.dim() != 3 or p2.dim() != 3 or p1.shape[::2] != p2.shape[::2]:
        raise ValueError(
            f"knn_points: got {tuple(p1.shape)} and {tuple(p2.shape)}, need (N, P, D), (N, Q, D)"
        )
    if p2.shape[1] < K:
        raise ValueError(f"knn_points: K={K}, and the second cloud has {p2.shape[1]} points")
    idx = _nearest(p1.detach(), p2.detach(), lengths2, K, chunk)
    near = p2.unsqueeze(1).expand(-1, 1, -1, -1).flatten(0, 1)
    picked = near.gather(1, idx.flatten(1).unsqueeze(2).expand(-1, -1, p2.shape[2])).unflatten(
        1, idx.shape[1:]
    )
    dists = (p1.unsqueeze(2) - picked).square().sum(dim=3)
    if lengths2 is not None:
        missing = torch.arange(K, device=p1.device) >= lengths2[:, None, None]
        dists = dists.masked_fill(missing, float("inf"))
    if lengths1 is not None:
        behind = torch.arange(p1.shape[1], device=p1.device) >= lengths1[:, None]
        dists, idx = dists.masked_fill(behind[..., None], 0), idx.masked_fill(behind[..., None], 0)
    return KNN(dists, idx)


@torch.no_grad()
def _nearest(p1: Tensor, p2: Tensor, lengths2: Tensor | None, k: int, chunk: int) -> Tensor:
    """(N, P, k) int64 rows of `p2`."""
    clouds, count, _ = p1.shape
    others = p2.shape[1]
    kind = p1.dtype if p1.dtype in (torch.float32, torch.float64) else torch.float32
    p1, p2 = p1.to(kind), p2.to(kind)
    behind: Tensor | None = None
    if lengths2 is not None:
        behind = (torch.arange(others, device=p2.device) >= lengths2[:, None]).unsqueeze(1)
    at_once = max(1, min(clouds, chunk // max(count * others, 1)))
    rows = max(1, min(count, chunk // max(others * at_once, 1)))
    out = torch.empty(clouds, count, k, dtype=torch.int64, device=p1.device)
    for n in range(0, clouds, at_once):
        for r in range(0, count, rows):
            dists = _squared_distances(p1[n : n + at_once, r : r + rows], p2[n : n + at_once])
            if behind is not None:
                dists.masked_fill_(behind[n : n + at_once], float("inf"))
            found = dists.argmin(2, keepdim=True) if k == 1 else dists.topk(k, 2, largest=False).indices
            out[n : n + at_once, r : r + rows] = found
    return out


def _squared_distances(p1: Tensor, p2: Tensor) -> Tensor:
    """(N, P, D), (N, Q, D) -> (N, P, Q), summed over the coordinates one by one."""
    total = (p1[:, :, None, 0] - p2[:, None, :, 0]).square_()
    for d in range(1, p1.shape[2]):
        total += (p1[:, :, None, d] - p2[:, None, :, d]).square_()
    return total


def chamfer_distance(
    x: Tensor,
    y: Tensor,
    x_lengths: Tensor | None = None,
    y_lengths: Tensor | None = None,
    x_normals: Tensor | None = None,
    y_normals: Tensor | None = None,
    weights: Tensor | None = None,
    chunk: int = CHUNK,
) -> tuple[Tensor, Tensor | None]:
    """Measure how far each point is from the other cloud, in squares, averaged and in both directions summed.

    Args:
        x: (N, P, 3). y: (N, Q, 3).
        x_lengths, y_lengths: (N,) how many points of each cloud are real, at least 1; all, if left out.
        x_normals, y_normals: like `x` and `y`.
        weights: (N,) of the clouds, 0 or more; equal, if left out.
        chunk: see `knn_points`.

    Returns:
        The mean over the clouds, and with normals that of 1 - |cos| between a point's normal and its nearest
        neighbour's (else None). Both are 0, with gradients of 0, if there are no clouds or all weights are 0.

    Raises:
        ValueError: shapes that do not fit, or normals of one cloud only.
    """
    if (x_normals is None) != (y_normals is None):
        raise ValueError("chamfer_distance: normals are needed of both clouds or of none")
    if len(x) == 0 or x.shape[1] == 0 or y.shape[1] == 0:
        zero = (x.sum() + y.sum()) * 0
        return zero, None if x_normals is None else zero
    distance, normals = x.new_zeros(len(x)), x.new_zeros(len(x))
    clouds = (
        (x, y, x_lengths, y_lengths, x_normals, y_normals),
        (y, x, y_lengths, x_lengths, y_normals, x_normals),
    )
    for a, b, a_lengths, b_lengths, a_normals, b_normals in clouds:
        dists, idx = knn_points(a, b, a_lengths, b_lengths, chunk=chunk)
        count = a.shape[1] if a_lengths is None else a_lengths.clamp(min=1)
        distance = distance + dists.squeeze(2).sum(dim=1) / count
        if a_normals is not None and b_normals is not None:
            of_nearest = b_normals.gather(1, idx.expand(-1, -1, 3))
            cosine = F.cosine_similarity(a_normals, of_nearest, dim=2, eps=1e-6).abs()
            if a_lengths is not None:
                behind = torch.arange(a.shape[1], device=a.device) >= a_lengths[:, None]
                cosine = cosine.masked_fill(behind, 1)
            normals = normals + (1 - cosine).sum(dim=1) / count
    if weights is None:
        weights = torch.ones_like(distance)
    total = weights.sum()
    share = weights / total.where(total > 0, 1)
    # where, because an infinite distance times a weight of 0 is no number
    distance = distance.where(weights > 0, 0)
    return (distance * share).sum(), None if x_normals is None else (normals * share).sum()
