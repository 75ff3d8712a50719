"""Non-maximum suppression of many lists of upright boxes at once, on their device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lazycfg.structures.boxes import pairwise_iou

__all__ = ["grouped_nms", "suppression_steps"]

# Pairs of boxes whose overlaps are computed together: bounds the temporaries at some 300 MB.
_CHUNK_PAIRS = 1 << 24
# Pairs of which it is kept, in two bytes, whether they overlap too much: bounds this at 1 GiB. (Sixteen
# images of a pyramid with 2,000 candidates a level have 0.3 * 10^9, and are done together.)
_MOST_PAIRS = 1 << 29
# Rounds between two looks at whether anything still changes. A round is a small product of matrices, a look
# waits for the device.
_ROUNDS = 16


@torch.compiler.disable
@torch.no_grad()
def grouped_nms(groups: Sequence[Tensor], iou_threshold: float) -> list[Tensor]:
    """Suppress in each list the boxes that overlap a better one of it.

    For accelerators. torchvision's kernel walks through all boxes of a call one by one, however many lists
    they come from: the 80,000 candidates of a batch of eight images take it 200 ms of an H100's time, of
    which the lists have 2,000 each. Here all lists advance together: in rounds, each box is suppressed by the
    better ones that stood after the last round, until nothing changes. There are as many rounds as the
    longest chain of boxes that decide about each other. A device is waited for once; oftener when there are
    very many pairs, or chains are very long.

    Args:
        groups: tensors (G_i, K_i, 4), each of G_i lists of K_i boxes XYXY, finite, the best first. Boxes
            without area (padding, say) overlap nothing.
        iou_threshold: boxes overlapping by more than this are suppressed.

    Returns:
        for each tensor (G_i, K_i) bool, the boxes that are left.
    """
    steps = suppression_steps(groups, iou_threshold)
    return next(standing for standing, settled in steps if settled)


@torch.no_grad()
def suppression_steps(
    groups: Sequence[Tensor], iou_threshold: float
) -> Iterator[tuple[list[Tensor], Tensor]]:
    """Do the work of `grouped_nms` on groups (G, N, 4) step by step, for callers that read more than whether
    it is done.

    Yields:
        What `grouped_nms` returns, as far as it is known, and whether it is: a bool on the device.
    """
    longest = max((group.shape[1] for group in groups), default=0)
    boxes = torch.cat([F.pad(group.float(), (0, 0, 0, longest - group.shape[1])) for group in groups])
    together = max(1, _MOST_PAIRS // max(longest * longest, 1))
    *first, last = boxes.split(together)
    done = [_settle(_defeats(part, iou_threshold)) for part in first]
    for stands, settled in _rounds(_defeats(last, iou_threshold)):
        parts = torch.cat([*done, stands]).split([len(group) for group in groups])
        yield [part[:, : group.shape[1]] for part, group in zip(parts, groups, strict=True)], settled


def _defeats(boxes: Tensor, iou_threshold: float) -> Tensor:
    """(G, K, K), 1 where a box of a list (row) overlaps a worse one (column) too much; of a type in which
    devices multiply matrices fast.
    """
    lists, k, _ = boxes.shape
    kind = torch.float32 if boxes.device.type == "cpu" else torch.float16
    out = torch.zeros((lists, k, k), dtype=kind, device=boxes.device)
    band = max(1, min(k, _CHUNK_PAIRS // max(k, 1)))
    step = max(1, _CHUNK_PAIRS // max(band * k, 1))
    for part, target in zip(boxes.split(step), out.split(step), strict=True):
        for row in range(0, k, band):
            worse = part[:, row:]
            target[:, row : row + band, row:] = pairwise_iou(part[:, row : row + band], worse) > iou_threshold
    return out.triu_(diagonal=1)


def _rounds(defeats: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """(G, K) bool: what no box that stands itself has defeated, after more and more rounds; and whether the
    last one changed nothing.
    """
    stands = defeats.new_ones((defeats.shape[0], 1, defeats.shape[2]))
    while True:
        for _ in range(_ROUNDS):
            before, stands = stands, (stands @ defeats == 0).to(defeats.dtype)
        yield stands[:, 0] > 0, (before == stands).all()


def _settle(defeats: Tensor) -> Tensor:
    """Return (G, K) bool: the end of `_rounds`."""
    return next(stands for stands, settled in _rounds(defeats) if settled)
