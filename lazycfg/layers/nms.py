"""Non-maximum suppression within groups, of upright and of rotated boxes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import nms

from lazycfg.structures.rotated_overlap import matched_iou_rotated, may_exceed

__all__ = ["batched_nms", "batched_nms_host", "batched_nms_ios", "batched_nms_rotated", "nms", "nms_rotated"]

# Pairs of boxes looked at together: upright ones (in the cache), rotated ones (some 250 MB).
_CHUNK_PAIRS = 1 << 18
_CHUNK_PAIRS_ROTATED = 1 << 21
# Boxes of small groups that are compared as one block: larger ones waste pairs, smaller ones calls.
_BLOCK = 128
# Up to so many boxes the host is fastest with the quadratic kernel.
_FEW = 1000


@torch.no_grad()
def batched_nms(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    """Suppress, within each group, the boxes that overlap one of a higher score.

    All groups (classes, levels, images) are done together, and the host asks a device once. On a device and
    for few boxes each group is moved to a place of its own, in float64 where that is exact: in float32 it
    costs the overlaps their last digits once there are many groups. For many boxes on the host, where work
    counts, only pairs of one group are looked at.

    Args:
        boxes: (N, 4) XYXY, finite.
        scores: (N,).
        idxs: (N,) integer, the group of each box.
        iou_threshold: boxes overlapping by more than this are suppressed.

    Returns:
        int64 indices of the boxes kept, by decreasing score.

    Raises:
        ValueError: the boxes are not (N, 4).
    """
    if boxes.dim() != 2 or boxes.shape[1] != 4:
        raise ValueError(f"batched_nms: expected boxes (N, 4), got {tuple(boxes.shape)}")
    if boxes.shape[0] == 0:
        return torch.empty(0, dtype=torch.int64, device=boxes.device)
    if boxes.device.type == "cpu" and not torch.compiler.is_compiling() and len(boxes) > _FEW:
        compare = lambda b: _upright_overlaps(b.numpy(), iou_threshold)  # noqa: E731
        return _suppress(boxes, scores, idxs, compare, _CHUNK_PAIRS, _BLOCK)
    exact = boxes.float() if boxes.device.type == "mps" else boxes.double()
    low, high = torch.aminmax(exact)
    shifted = exact + (idxs.to(exact) * (high - low + 1))[:, None]
    return nms(shifted, scores.to(exact), iou_threshold)


@torch.no_grad()
def batched_nms_ios(boxes: Tensor, scores: Tensor, idxs: Tensor, threshold: float) -> Tensor:
    """Suppress, within each group, the boxes of which a box of a higher score overlaps too much, measured by
    the smaller of the two: intersection over the smaller area (IOS). So a part of an object goes where the
    whole was found, and the whole where a part has the higher score.

    Args:
        boxes: (N, 4) XYXY, finite.
        scores: (N,).
        idxs: (N,) integer, the group of each box.
        threshold: boxes overlapping by more than this are suppressed.

    Returns:
        int64 indices of the boxes kept, by decreasing score.
    """
    if boxes.shape[0] == 0:
        return torch.empty(0, dtype=torch.int64, device=boxes.device)
    compare = lambda b: _upright_overlaps(_on_host(b), threshold, by_smaller=True)  # noqa: E731
    return _suppress(boxes, scores, idxs, compare, _CHUNK_PAIRS, _BLOCK)


def batched_nms_host(
    boxes: np.ndarray, scores: np.ndarray, idxs: np.ndarray, iou_threshold: float
) -> np.ndarray:
    """Run `batched_nms` on what the host has already: float32 arrays (N, 4) and (N,) in, int64 indices (K,)
    out, without tensors between.
    """
    if len(boxes) == 0:
        return np.zeros(0, dtype=np.int64)
    by_score = np.argsort(-scores, kind="stable")
    order = by_score[np.argsort(idxs[by_score], kind="stable")]
    stands = _standing(_upright_overlaps(boxes[order], iou_threshold), idxs[order], _CHUNK_PAIRS, _BLOCK)
    kept = np.zeros(len(boxes), dtype=bool)
    kept[order] = stands
    return by_score[kept[by_score]]


def nms_rotated(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Suppress the rotated boxes that overlap one of a higher score.

    Two boxes of opposite angle cover the same region and suppress each other: whether a class tells
    front from back is for the caller to know.

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
    """`nms_rotated` within each group. Overlaps are computed only for pairs that may overlap enough.

    Args:
        boxes: (N, 5).
        scores: (N,).
        idxs: (N,) integer, the group of each box.
        iou_threshold: boxes overlapping by more than this are suppressed.

    Returns:
        int64 indices of the boxes kept, by decreasing score.

    Raises:
        ValueError: the boxes are not (N, 5).
    """
    if boxes.dim() != 2 or boxes.shape[1] != 5:
        raise ValueError(f"rotated NMS: expected boxes (N, 5), got {tuple(boxes.shape)}")
    if boxes.shape[0] == 0:
        return torch.empty(0, dtype=torch.int64, device=boxes.device)

    compare = lambda b: _rotated_overlaps(b, iou_threshold)  # noqa: E731
    return _suppress(boxes, scores, idxs, compare, _CHUNK_PAIRS_ROTATED, block=int(_CHUNK_PAIRS_ROTATED**0.5))


# For rows [start, stop) and columns [start, end) of sorted boxes: which pairs overlap too much.
Overlaps = Callable[[int, int, int], np.ndarray]


def _upright_overlaps(boxes: np.ndarray, iou_threshold: float, by_smaller: bool = False) -> Overlaps:
    """In numpy, with few passes, over contiguous columns: reading every fourth number is ten times slower.

    Args:
        by_smaller: divide by the smaller area instead of the union.
    """
    x0, y0, x1, y1 = np.ascontiguousarray(boxes.T)
    area = (x1 - x0) * (y1 - y0)
    # Rounded down, so that comparing in float32 is comparing with the number itself.
    threshold = np.float32(iou_threshold)
    if threshold > iou_threshold:
        threshold = np.nextafter(threshold, np.float32(-np.inf))

    def overlaps(start: int, stop: int, end: int) -> np.ndarray:
        a, b = np.s_[start:stop, None], np.s_[start:end]
        inter = np.minimum(x1[a], x1[b])
        inter -= np.maximum(x0[a], x0[b])
        np.maximum(inter, 0, out=inter)
        height = np.minimum(y1[a], y1[b])
        height -= np.maximum(y0[a], y0[b])
        np.maximum(height, 0, out=height)
        inter *= height
        if by_smaller:
            union = np.minimum(area[a], area[b])
        else:
            union = area[a] + area[b]
            union -= inter
        with np.errstate(invalid="ignore", divide="ignore"):
            inter /= union
        return inter > threshold

    return overlaps


def _rotated_overlaps(boxes: Tensor, iou_threshold: float) -> Overlaps:
    def overlaps(start: int, stop: int, end: int) -> np.ndarray:
        a, b = boxes[start:stop], boxes[start:end]
        over = may_exceed(a[:, None], b, iou_threshold).triu_(diagonal=1)
        i, j = over.nonzero(as_tuple=True)
        over[i, j] = matched_iou_rotated(a[i], b[j]) > iou_threshold
        return _on_host(over)

    return overlaps


def _on_host(tensor: Tensor) -> np.ndarray:
    return tensor.numpy() if tensor.device.type == "cpu" else tensor.cpu().numpy()


def _suppress(
    boxes: Tensor,
    scores: Tensor,
    idxs: Tensor,
    overlaps_of: Callable[[Tensor], Overlaps],
    chunk: int,
    block: int,
) -> Tensor:
    """Suppression from the pairs of one group that overlap too much.

    Which boxes stay is found for all groups together: in rounds, each box is suppressed by the better boxes
    that stood after the last round, until nothing changes. There are as many rounds as the longest chain of
    boxes that decide about each other. The pairs are few, and handled on the host.

    Args:
        overlaps_of: makes the function that compares boxes, for the boxes in the order of their groups.
        chunk: pairs it is given at a time.
        block: boxes of small groups that are compared together.
    """
    by_score = scores.argsort(descending=True, stable=True)
    order = by_score[idxs[by_score].argsort(stable=True)]
    stands = _standing(overlaps_of(boxes[order].float()), _on_host(idxs[order]), chunk, block)
    kept = torch.zeros_like(order, dtype=torch.bool)
    kept[order] = torch.from_numpy(stands).to(order.device)
    return by_score[kept[by_score]]


def _standing(overlaps: Overlaps, groups: np.ndarray, chunk: int, block: int) -> np.ndarray:
    """Return (N,) bool, the boxes that are left of boxes sorted by group, and by falling score within it."""
    ends = np.append(np.flatnonzero(np.diff(groups)) + 1, len(groups))
    winners, losers = [], []
    start = 0
    while start < len(groups):
        # As many whole groups as fit, or one group in several bands of rows.
        fitting = np.searchsorted(ends, start + block, side="right") - 1
        end = int(ends[max(fitting, np.searchsorted(ends, start, side="right"))])
        band = max(1, chunk // (end - start))
        for row in range(start, end, band):
            over = overlaps(row, min(row + band, end), end)
            first, second = np.divmod(np.flatnonzero(over), end - row)
            first, second = first + row, second + row
            paired = (first < second) & (groups[first] == groups[second])
            winners.append(first[paired])
            losers.append(second[paired])
        start = end
    winner, loser = np.concatenate(winners), np.concatenate(losers)
    stands = np.ones(len(groups), dtype=bool)
    while True:
        now = np.ones_like(stands)
        now[loser[stands[winner]]] = False
        if np.array_equal(now, stands):
            break
        stands = now
    return stands
