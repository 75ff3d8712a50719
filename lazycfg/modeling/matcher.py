"""Assigning predictions to ground truth by a quality such as IoU."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from lazycfg.structures import pairwise_iou

__all__ = ["Matcher"]

# Entries of an IoU matrix looked at together when matching boxes: 256 MiB in float32.
CHUNK_ENTRIES = 1 << 26


class Matcher:
    """Matches every anchor or proposal to its best ground truth, and labels the match by IoU thresholds.

    Args:
        thresholds: increasing; they cut the quality into ``len(thresholds) + 1`` intervals.
        labels: of the intervals, from low to high: -1 ignore, 0 negative, 1 positive.
        allow_low_quality_matches: a prediction that is the best (or as good) for some ground truth is
            labelled 1 whatever its quality, as RPN and RetinaNet do.
    """

    def __init__(
        self,
        thresholds: Sequence[float],
        labels: Sequence[int],
        allow_low_quality_matches: bool = False,
    ) -> None:
        thresholds = list(thresholds)
        if not thresholds or thresholds[0] <= 0 or thresholds != sorted(thresholds):
            raise ValueError(f"Matcher: thresholds must be positive and increasing, got {thresholds}")
        if len(labels) != len(thresholds) + 1:
            raise ValueError(
                f"Matcher: {len(thresholds)} thresholds make {len(thresholds) + 1} intervals, "
                f"got {len(labels)} labels"
            )
        if any(label not in (-1, 0, 1) for label in labels):
            raise ValueError(f"Matcher: labels are -1, 0 or 1, got {list(labels)}")
        self.thresholds = [-math.inf, *thresholds, math.inf]
        self.labels = list(labels)
        self.allow_low_quality_matches = allow_low_quality_matches

    def __call__(self, match_quality_matrix: Tensor, valid: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Match predictions to ground truth by their quality.

        Args:
            match_quality_matrix: (..., M, N), at least 0, of M ground truths and N predictions.
            valid: (..., M) bool, which ground truths there are; all by default.

        Returns:
            matches (..., N) int64, the ground truth of each prediction (0 if there is none), and
            match_labels (..., N) int8.
        """
        *lead, m, n = match_quality_matrix.shape
        device = match_quality_matrix.device
        if m == 0:
            matches = torch.zeros((*lead, n), dtype=torch.int64, device=device)
            return matches, torch.full((*lead, n), self.labels[0], dtype=torch.int8, device=device)
        if valid is not None:
            match_quality_matrix = match_quality_matrix.masked_fill(~valid.unsqueeze(-1), -1.0)
        quality, matches = match_quality_matrix.max(dim=-2)
        labels = self.label(quality)
        if self.allow_low_quality_matches:
            labels = labels.masked_fill(best_for_some(match_quality_matrix, valid), 1)
        return matches, labels

    def label(self, quality: Tensor) -> Tensor:
        """Return the labels, int8, of the qualities of matches, both of shape (...,)."""
        labels = torch.full_like(quality, self.labels[0], dtype=torch.int8)
        for low, label in zip(self.thresholds[1:-1], self.labels[1:], strict=True):
            labels = labels.masked_fill(quality >= low, label)
        return labels

    def match_boxes(
        self,
        gt_boxes: Tensor,
        gt_valid: Tensor,
        boxes: Tensor,
        pairwise: Callable[[Tensor, Tensor], Tensor] = pairwise_iou,
    ) -> tuple[Tensor, Tensor]:
        """Match boxes to the ground truth of a batch by IoU, without the whole (B, M, N) matrix in memory.

        Args:
            gt_boxes: (B, M, 4) XYXY, padded.
            gt_valid: (B, M) bool, true for the ground truth there is.
            boxes: (N, 4), the same for all images, or (B, N, 4).
            pairwise: (B, m, 4), (..., N, 4) -> (B, m, N) overlaps.

        Returns:
            As `__call__`: two tensors (B, N).
        """
        batch, m = gt_valid.shape
        n = boxes.shape[-2]
        step = max(1, CHUNK_ENTRIES // max(1, batch * n))
        if m <= step:
            return self(pairwise(gt_boxes, boxes), gt_valid)
        quality = boxes.new_full((batch, n), -1.0)
        matches = torch.zeros((batch, n), dtype=torch.int64, device=boxes.device)
        best = torch.zeros((batch, n), dtype=torch.bool, device=boxes.device)
        for start in range(0, m, step):
            valid = gt_valid[:, start : start + step]
            overlaps = pairwise(gt_boxes[:, start : start + step], boxes)
            overlaps = overlaps.masked_fill(~valid.unsqueeze(-1), -1.0)
            if self.allow_low_quality_matches:
                best |= best_for_some(overlaps, valid)
            chunk_quality, chunk_matches = overlaps.max(dim=1)
            better = chunk_quality > quality
            quality = torch.where(better, chunk_quality, quality)
            matches = torch.where(better, chunk_matches + start, matches)
        return matches, self.label(quality).masked_fill(best, 1)


def best_for_some(quality: Tensor, valid: Tensor | None) -> Tensor:
    """Return (..., N) bool: predictions that reach the best quality of some valid row of (..., M, N)."""
    reached = quality == quality.amax(dim=-1, keepdim=True) if quality.shape[-1] else quality == quality
    if valid is not None:
        reached = reached & valid.unsqueeze(-1)
    return reached.any(dim=-2)
