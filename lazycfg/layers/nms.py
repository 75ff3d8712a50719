"""Non-maximum suppression within groups, of upright and of rotated boxes."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import nms

from lazycfg.structures.rotated_overlap import hulls_meet, matched_iou_rotated

__all__ = ["batched_nms", "batched_nms_rotated", "nms_rotated"]

# Pairs of rotated boxes looked at together: bounds the temporaries at some 250 MB.
_CHUNK_PAIRS = 1 << 21


def batched_nms(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    """Suppress, within each group, the boxes that overlap one of a higher score.

    All groups (classes, levels, images) go through one call: each is moved to a place of its own. The places
    are computed in float64, where the shift is exact: in float32 they cost the overlap its last digits once
    there are many groups.

    Args:
        boxes: (N, 4) XYXY, finite.
        scores: (N,).
        idxs: (N,) integer, the group of each box.
        iou_threshold: boxes overlapping by more than this are suppressed.

    Returns:
        int64 indices of the boxes kept, by decreasing score.
    """
    if boxes.shape[-1] != 4:
        raise ValueError(f"batched_nms: expected boxes (N, 4), got {tuple(boxes.shape)}")
    if boxes.shape[0] == 0:
        return torch.empty(0, dtype=torch.int64, device=boxes.device)
    exact = boxes.float() if boxes.device.type == "mps" else boxes.double()
    low, high = torch.aminmax(exact)
    shifted = exact + (idxs.to(exact) * (high - low + 1))[:, None]
    return nms(shifted, scores.to(exact), iou_threshold)


def nms_rotated(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Suppress the rotated boxes that overlap one of a higher score.

    Two boxes of opposite angle cover the same region and suppress each other: whether a class tells front
        from
    back is for the caller to know.

    Args:
        boxes: (N, 5) as (xc, yc, width, height, angle): pixels, and degrees counter-clockwise.
        scores: (N,).
        iou_threshold: boxes overlapping by more than this are suppressed.

    Returns:
        int64 indices of the boxes kept, by decreasing score.
    """
    return batched_nms_rotated(boxes, scores, torch.zeros_like(scores, dtype=torch.int64), iou_threshold)


@torch.no_grad()
def batched_nms_rotated(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    """`nms_rotated` within each group.

    Overlaps are computed only for pairs of one group whose upright hulls meet. Which boxes stay is then found
    for all groups together: in rounds, each box is suppressed by the boxes before it that stood after the
        last round,
    until nothing changes. There are as many rounds as the longest chain of boxes that decide about each
    other.

    Args:
        boxes: (N, 5).
        scores: (N,).
        idxs: (N,) integer, the group of each box.
        iou_threshold: boxes overlapping by more than this are suppressed.

    Returns:
        int64 indices of the boxes kept, by decreasing score.
    """
    if boxes.dim() != 2 or boxes.shape[1] != 5:
        raise ValueError(f"rotated NMS: expected boxes (N, 5), got {tuple(boxes.shape)}")
    if boxes.shape[0] == 0:
        return torch.empty(0, dtype=torch.int64, device=boxes.device)
    by_score = scores.argsort(descending=True, stable=True)
    order = by_score[idxs[by_score].argsort(stable=True)]
    ordered = boxes[order].float()
    winner, loser = _overlapping_pairs(ordered, idxs[order], iou_threshold)
    stands = torch.ones(len(order), dtype=torch.bool, device=boxes.device)
    while True:
        hits = torch.zeros(len(order), dtype=torch.int32, device=boxes.device)
        hits.index_add_(0, loser, stands[winner].int())
        now = hits == 0
        if torch.equal(now, stands):
            break
        stands = now
    kept = torch.zeros_like(stands)
    kept[order] = stands
    return by_score[kept[by_score]]


def _overlapping_pairs(boxes: Tensor, groups: Tensor, iou_threshold: float) -> tuple[Tensor, Tensor]:
    """Pairs of one group that overlap too much, for boxes sorted by group and then by decreasing score.

    Returns:
        (E,) indices of the better boxes, and (E,) of the worse ones.
    """
    ends = torch.unique_consecutive(groups, return_counts=True)[1].cumsum(0).tolist()
    winners, losers = [], []
    start = 0
    for end in ends:
        while start < end:
            rows = max(1, min(end - start, _CHUNK_PAIRS // (end - start)))
            near = hulls_meet(boxes[start : start + rows, None], boxes[None, start:end]).triu_(diagonal=1)
            first, second = (near.nonzero() + start).unbind(dim=1)
            over = matched_iou_rotated(boxes[first], boxes[second]) > iou_threshold
            winners.append(first[over])
            losers.append(second[over])
            start += rows
    return torch.cat(winners), torch.cat(losers)
