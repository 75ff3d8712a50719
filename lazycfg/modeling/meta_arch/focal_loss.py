"""The focal loss of dense detectors (arXiv:1708.02002), without one-hot targets."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["dense_focal_loss"]


def dense_focal_loss(logits: Tensor, labels: Tensor, *, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Sum of the sigmoid focal loss of every class at every place.

    Args:
        logits: (..., K).
        labels: (...) int64: 0 ... K - 1 an object, K background, negative for places that do not count.
        alpha: weight of the positive class of a place, 1 - alpha of the others; negative for no weights.
        gamma: how much less well classified places count.

    All classes are first taken as negative, in one pass that keeps nothing but the logits for the backward
    pass; then the class of each object is put right.
    """
    logits = logits.float()
    counted = (labels >= 0).to(logits.dtype)
    loss = _NegativeFocal.apply(logits, counted.unsqueeze(-1), gamma) * ((1 - alpha) if alpha >= 0 else 1.0)

    is_object = (labels >= 0) & (labels < logits.shape[-1])
    label = torch.where(is_object, labels, 0).unsqueeze(-1)
    x = logits.gather(-1, label).squeeze(-1)
    p = x.sigmoid()
    as_negative = p**gamma * F.softplus(x)
    as_positive = (1 - p) ** gamma * F.softplus(-x)
    if alpha >= 0:
        as_negative, as_positive = as_negative * (1 - alpha), as_positive * alpha
    return loss + torch.where(is_object, as_positive - as_negative, 0.0).sum()


class _NegativeFocal(torch.autograd.Function):
    """Sum of ``weight * p ** gamma * -log(1 - p)``, where p is the sigmoid of the logits."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, weight: Tensor, gamma: float) -> Tensor:
        """Return the sum of the loss of logits (...,) whose class is not there, weighted by `weight`; shape
        ().
        """
        ctx.save_for_backward(logits, weight)
        ctx.gamma = gamma
        return (logits.sigmoid().pow_(gamma) * F.softplus(logits)).mul_(weight).sum()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient of the logits, of their shape."""
        logits, weight = ctx.saved_tensors
        p = logits.sigmoid()
        slope = p**ctx.gamma * (ctx.gamma * (1 - p) * F.softplus(logits) + p)
        return slope.mul_(weight * grad), None, None
