"""Non-maximum suppression of many lists of rotated boxes at once, whose lengths the host knows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lazycfg.structures.rotated_overlap import matched_iou_rotated, may_exceed

__all__ = ["grouped_nms_rotated"]

# Pairs of boxes looked at together: bounds the temporaries at some 250 MB.
_CHUNK_PAIRS = 1 << 21


@torch.no_grad()
def grouped_nms_rotated(groups: Sequence[Tensor], iou_threshold: float) -> list[Tensor]:
    """Suppress in each list the boxes that overlap a better one of it.

    A device is waited for twice, however many lists there are: for the number of pairs that are near each
    other, and for those that overlap. Which of them stand is found on the host.

    Args:
        groups: tensors (G_i, K_i, 5), each of G_i lists of K_i boxes, the best first. Boxes without area
            (padding, say) overlap nothing.
        iou_threshold: boxes overlapping by more than this are suppressed.

    Returns:
        for each tensor (G_i, K_i) bool, the boxes that are left.
    """
    boxes = torch.cat([group.reshape(-1, 5) for group in groups]).float()
    first, second = _near_pairs([group.float() for group in groups], iou_threshold)
    over = torch.empty_like(first, dtype=torch.bool)
    for start in range(0, len(first), _CHUNK_PAIRS):
        part = slice(start, start + _CHUNK_PAIRS)
        over[part] = matched_iou_rotated(boxes[first[part]], boxes[second[part]]) > iou_threshold
    winner, loser = torch.stack((first, torch.where(over, second, -1))).int().cpu().numpy()
    stands = torch.from_numpy(_undefeated(winner[loser >= 0], loser[loser >= 0], len(boxes)))
    if boxes.device.type == "cuda":
        stands = stands.pin_memory()
    stands = stands.to(boxes.device, non_blocking=True)
    parts = stands.split([group.shape[0] * group.shape[1] for group in groups])
    return [part.view(group.shape[:2]) for part, group in zip(parts, groups, strict=True)]


def _near_pairs(groups: Sequence[Tensor], iou_threshold: float) -> tuple[Tensor, Tensor]:
    """Return the pairs of one list that may overlap by more than this, the better box first: two tensors (P,)
    of positions among the boxes of all groups.
    """
    shapes = [(group.shape[0], group.shape[1]) for group in groups]
    near = torch.zeros(sum(g * k * k for g, k in shapes), dtype=torch.bool, device=groups[0].device)
    for group, (lists, k), part in zip(
        groups, shapes, near.split([g * k * k for g, k in shapes]), strict=True
    ):
        of_group = part.view(lists, k, k)
        band = max(1, _CHUNK_PAIRS // max(lists * k, 1))
        for row in range(0, k, band):
            a, b = group[:, row : row + band, None], group[:, None, row:]
            of_group[:, row : row + band, row:] = may_exceed(a, b, iou_threshold).triu_(diagonal=1)
    found = near.nonzero()[:, 0]
    first, second = torch.zeros_like(found), torch.zeros_like(found)
    pairs_before = boxes_before = 0
    for lists, k in shapes:
        if lists * k == 0:
            continue
        here = found >= pairs_before
        at = found - pairs_before
        begin = at.div(k * k, rounding_mode="floor") * k + boxes_before
        first = torch.where(here, begin + at.div(k, rounding_mode="floor") % k, first)
        second = torch.where(here, begin + at % k, second)
        pairs_before += lists * k * k
        boxes_before += lists * k
    return first, second


def _undefeated(winner: np.ndarray, loser: np.ndarray, count: int) -> np.ndarray:
    """(count,) bool: what no winner that stands itself has beaten. In rounds, until nothing changes: as many
    as the longest chain of boxes that decide about each other.
    """
    stands = np.ones(count, dtype=bool)
    while True:
        now = np.ones_like(stands)
        now[loser[stands[winner]]] = False
        if np.array_equal(now, stands):
            return stands
        stands = now
