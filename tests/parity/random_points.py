"""Samples drawn as the reference draws them, image by image, so that what is drawn after them is the same."""

import pytest
import torch
from torch import Tensor

from lazycfg.modeling.proposal_generator import rpn
from lazycfg.modeling.roi_heads import base


def in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let anchors and proposals be sampled in the order of the reference."""
    for module in (rpn, base):
        monkeypatch.setattr(module, "sample_labels", sample_labels)


def sample_labels(
    labels: Tensor, num_samples: int, positive_fraction: float, bg_label: int
) -> tuple[Tensor, Tensor, Tensor]:
    """`lazycfg.modeling.sampling.sample_labels`, with one `torch.randperm` for the positives and one for the
    negatives of each image."""
    images = []
    for own in labels:
        positive = ((own != -1) & (own != bg_label)).nonzero()[:, 0]
        negative = (own == bg_label).nonzero()[:, 0]
        num_positive = min(int(num_samples * positive_fraction), len(positive))
        num_negative = min(num_samples - num_positive, len(negative))
        positive = positive[torch.randperm(len(positive))[:num_positive]]
        negative = negative[torch.randperm(len(negative))[:num_negative]]
        images.append((positive, negative))
    length = max(len(p) + len(n) for p, n in images)
    index = torch.zeros(len(labels), length, dtype=torch.int64)
    is_positive, is_negative = torch.zeros(2, len(labels), length, dtype=torch.bool)
    for i, (positive, negative) in enumerate(images):
        both = torch.cat((positive, negative))
        index[i, : len(both)] = both
        is_positive[i, : len(positive)] = True
        is_negative[i, len(positive) : len(both)] = True
    return index, is_positive, is_negative
