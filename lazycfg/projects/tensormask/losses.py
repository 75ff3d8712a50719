"""The losses of TensorMask."""

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["focal_star_loss", "mask_loss"]


def focal_star_loss(logits: Tensor, labels: Tensor, *, alpha: float = 0.3, gamma: float = 3.0) -> Tensor:
    """Sum of the sigmoid "focal loss star" of every class at every place (arXiv:1708.02002, appendix B).

    Args:
        logits: (..., K).
        labels: (...) int64: 0 ... K - 1 an object, K background, negative for places that do not count.
        alpha: weight of the positive class of a place, 1 - alpha of the others.
        gamma: steepness of the loss, which is that of ``gamma * x``, divided by gamma.
    """
    logits = logits.float()
    negative = F.softplus(logits, beta=gamma) * (1 - alpha)
    loss = torch.where(labels.unsqueeze(-1) >= 0, negative, 0.0).sum()
    # all classes were taken as negative: put right those of the objects
    is_object = (labels >= 0) & (labels < logits.shape[-1])
    x = logits.gather(-1, torch.where(is_object, labels, 0).unsqueeze(-1)).squeeze(-1)
    change = F.softplus(-x, beta=gamma) * alpha - F.softplus(x, beta=gamma) * (1 - alpha)
    return loss + torch.where(is_object, change, 0.0).sum()


def mask_loss(logits: Tensor, targets: Tensor, positive_weight: float) -> Tensor:
    """Sum over masks (F, S, S) of their mean binary cross-entropy, pixels inside the object weighing more."""
    weight = logits.new_full((), positive_weight)
    loss = F.binary_cross_entropy_with_logits(
        logits, targets.to(logits.dtype), reduction="sum", pos_weight=weight
    )
    return loss / (logits.shape[-1] * logits.shape[-2])
