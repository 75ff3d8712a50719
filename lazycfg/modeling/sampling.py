"""Random samples of fixed size: what would be a list of unknown length is a tensor and a validity mask."""

import torch
from torch import Tensor

__all__ = ["sample_labels", "subsample_labels"]


def subsample_labels(
    labels: Tensor, num_samples: int, positive_fraction: float, bg_label: int
) -> tuple[Tensor, Tensor]:
    """Draw positives and negatives of one image at random.

    Args:
        labels: (N,) integers; -1 is ignored, `bg_label` is negative, all others are positive.
        num_samples: at most so many in all.
        positive_fraction: at most this share of `num_samples` is positive.
        bg_label: the negative label.

    Returns:
        Indices of the positives and of the negatives. Waits for the device; see `sample_labels`.
    """
    index, positive, negative = sample_labels(labels[None], num_samples, positive_fraction, bg_label)
    return index[positive], index[negative]


def sample_labels(
    labels: Tensor, num_samples: int, positive_fraction: float, bg_label: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw positives and negatives of every image of a batch at random, without waiting for a count.

    Args:
        labels: (B, N) integers; -1 is ignored, `bg_label` is negative, all others are positive.
        num_samples: at most so many of an image in all.
        positive_fraction: at most this share of `num_samples` is positive.
        bg_label: the negative label.

    Returns:
        index (B, S) int64 into N; positive and negative (B, S) bool, which of the rows are samples of either
        kind. Positives come first; rows of neither kind are padding.
    """
    n = labels.shape[1]
    max_positive = min(int(num_samples * positive_fraction), n)
    max_negative = min(num_samples, n)
    is_negative = labels == bg_label
    is_positive = (labels != -1) & ~is_negative
    keys = torch.rand(labels.shape, device=labels.device) + 1.0  # in [1, 2): above the 0 of the others
    positive_key, positive_index = (keys * is_positive).topk(max_positive, dim=1)
    negative_key, negative_index = (keys * is_negative).topk(max_negative, dim=1)
    positive = positive_key > 0
    room = num_samples - positive.sum(dim=1, keepdim=True)
    negative = (negative_key > 0) & (torch.arange(max_negative, device=labels.device) < room)
    return (
        torch.cat((positive_index, negative_index), dim=1),
        torch.cat((positive, torch.zeros_like(negative)), dim=1),
        torch.cat((torch.zeros_like(positive), negative), dim=1),
    )
