"""Losses on boxes, on classes and on the classes of pixels.

Half-precision inputs are computed in float32. ``reduction`` is ``"none"``, ``"mean"`` or ``"sum"``; the mean
of nothing is 0 and keeps the graph.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "DeepLabCE",
    "ciou_loss",
    "diou_loss",
    "giou_loss",
    "pixel_cross_entropy",
    "sigmoid_focal_loss",
    "smooth_l1_loss",
]


def smooth_l1_loss(input: Tensor, target: Tensor, beta: float, reduction: str = "none") -> Tensor:
    """``0.5 x^2 / beta`` for ``x = |input - target|`` below ``beta``, and ``x - 0.5 beta`` above.

    As ``beta`` goes to 0 this is the absolute difference, which is what a ``beta`` below 1e-5 computes. (The
    Huber loss is ``beta`` times this one; ``torch.nn.functional.smooth_l1_loss`` agrees.)

    Args:
        input, target: of one shape.
        beta: where the parabola ends.
    """
    x = (_wide(input) - _wide(target)).abs()
    if beta >= 1e-5:
        # Below the threshold a division by a tiny beta would overflow in the branch that is not taken.
        x = torch.where(x < beta, 0.5 * x**2 / beta, x - 0.5 * beta)
    return _reduce(x, reduction)


def sigmoid_focal_loss(
    inputs: Tensor, targets: Tensor, alpha: float = -1, gamma: float = 2, reduction: str = "none"
) -> Tensor:
    """Focal loss: binary cross-entropy that weights easy examples less (RetinaNet, arXiv:1708.02002).

    Args:
        inputs: logits of any shape.
        targets: of the same shape, 0 or 1.
        alpha: weight of the positives in [0, 1]; the negatives weigh ``1 - alpha``. Negative: both weigh 1.
        gamma: exponent of ``1 - p`` for the probability ``p`` of the true class.
    """
    inputs, targets = _wide(inputs), targets.to(_wide(inputs).dtype)
    p = torch.sigmoid(inputs)
    p_true = p * targets + (1 - p) * (1 - targets)
    # At 0 the gradient of the power has no bound for an exponent below 1
    factor = (1 - p_true).clamp(min=1e-12) ** gamma
    loss = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none") * factor
    if alpha >= 0:
        loss = loss * (alpha * targets + (1 - alpha) * (1 - targets))
    return _reduce(loss, reduction)


def pixel_cross_entropy(logits: Tensor, labels: Tensor, ignore_label: int) -> Tensor:
    """Return the mean cross-entropy over the pixels that count; 0 if none does.

    Args:
        logits: (N, K, H, W).
        labels: (N, H, W) int64.
        ignore_label: pixels with this label do not count.
    """
    loss = F.cross_entropy(_wide(logits), labels, ignore_index=ignore_label, reduction="sum")
    return loss / (labels != ignore_label).sum().clamp(min=1)


class DeepLabCE(nn.Module):
    """Cross-entropy of pixels, of which those with the largest losses count ("hard pixel mining").

    The share is of all pixels of the batch, ignored ones (whose loss is 0) among them.

    Args:
        ignore_label: pixels with this label have the loss 0.
        top_k_percent_pixels: the share, in (0, 1]; at 1 the mean over all pixels, the ignored ones too.
        weight: (K,), factors of the classes.

    Raises:
        ValueError: a share outside (0, 1].
    """

    def __init__(
        self, ignore_label: int = -1, top_k_percent_pixels: float = 1.0, weight: Tensor | None = None
    ) -> None:
        super().__init__()
        if not 0 < top_k_percent_pixels <= 1:
            raise ValueError(
                f"DeepLabCE: top_k_percent_pixels={top_k_percent_pixels} is a share of the pixels, in (0, 1]"
            )
        self.top_k_percent_pixels = top_k_percent_pixels
        self.ignore_label = ignore_label
        self.criterion = nn.CrossEntropyLoss(weight, ignore_index=ignore_label, reduction="none")

    def forward(self, logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Return the loss, a scalar.

        Args:
            logits: (N, K, H, W).
            labels: (N, H, W) int64.
            weights: (N, H, W), factors of the losses of pixels.
        """
        losses = self.criterion(_wide(logits), labels)
        if weights is not None:
            losses = losses * weights
        if self.top_k_percent_pixels == 1:
            return losses.mean()
        count = max(1, int(self.top_k_percent_pixels * losses.numel()))
        return losses.flatten().topk(count, sorted=False).values.mean()


def giou_loss(boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7) -> Tensor:
    """Return 1 - generalised IoU (arXiv:1902.09630).

    Args:
        boxes1, boxes2: (..., 4) XYXY, box i against box i, with x0 <= x1 and y0 <= y1 (not checked: that
            would wait for the device).
        eps: keeps divisors from 0.
    """
    boxes1, boxes2 = _wide(boxes1), _wide(boxes2)
    iou, union = _iou(boxes1, boxes2, eps)
    width, height = _hull(boxes1, boxes2)
    hull = width * height
    return _reduce(1 - (iou - (hull - union) / (hull + eps)), reduction)


def diou_loss(boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7) -> Tensor:
    """Return 1 - IoU + the squared distance of the centres over the squared diagonal of the hull, (N,) for
    boxes (N, 4) (arXiv:1911.08287).

    Arguments as for `giou_loss`.
    """
    boxes1, boxes2 = _wide(boxes1), _wide(boxes2)
    iou, _ = _iou(boxes1, boxes2, eps)
    return _reduce(1 - iou + _centre_distance(boxes1, boxes2, eps), reduction)


def ciou_loss(boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7) -> Tensor:
    """Return `diou_loss` plus a term for the aspect ratio (arXiv:1911.08287).

    Args:
        boxes1: (..., 4) XYXY predictions.
        boxes2: (..., 4) XYXY targets.
        eps: keeps divisors from 0.
    """
    boxes1, boxes2 = _wide(boxes1), _wide(boxes2)
    iou, _ = _iou(boxes1, boxes2, eps)
    # atan2 has a gradient where atan(w / h) of a flat box has none.
    size1, size2 = boxes1[..., 2:] - boxes1[..., :2], boxes2[..., 2:] - boxes2[..., :2]
    angle1, angle2 = torch.atan2(size1[..., 0], size1[..., 1]), torch.atan2(size2[..., 0], size2[..., 1])
    v = (4 / math.pi**2) * (angle2 - angle1) ** 2
    alpha = (v / (1 - iou + v + eps)).detach()
    return _reduce(1 - iou + _centre_distance(boxes1, boxes2, eps) + alpha * v, reduction)


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _reduce(loss: Tensor, reduction: str) -> Tensor:
    if reduction == "mean":
        return loss.mean() if loss.numel() > 0 else 0.0 * loss.sum()
    if reduction == "sum":
        return loss.sum()
    if reduction != "none":
        raise ValueError(f"reduction: expected 'none', 'mean' or 'sum', got {reduction!r}")
    return loss


def _iou(boxes1: Tensor, boxes2: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """IoU and area of the union of matched boxes."""
    size1, size2 = boxes1[..., 2:] - boxes1[..., :2], boxes2[..., 2:] - boxes2[..., :2]
    shared = torch.minimum(boxes1[..., 2:], boxes2[..., 2:]) - torch.maximum(boxes1[..., :2], boxes2[..., :2])
    # `where`, not `clamp`: boxes that do not overlap pass no gradient through either side.
    overlap = (shared > 0).all(dim=-1)
    inter = torch.where(overlap, shared[..., 0] * shared[..., 1], 0.0)
    union = size1[..., 0] * size1[..., 1] + size2[..., 0] * size2[..., 1] - inter
    return inter / (union + eps), union


def _hull(boxes1: Tensor, boxes2: Tensor) -> tuple[Tensor, Tensor]:
    """Width and height of the smallest box around both."""
    low = torch.minimum(boxes1[..., :2], boxes2[..., :2])
    high = torch.maximum(boxes1[..., 2:], boxes2[..., 2:])
    width, height = (high - low).unbind(dim=-1)
    return width, height


def _centre_distance(boxes1: Tensor, boxes2: Tensor, eps: float) -> Tensor:
    width, height = _hull(boxes1, boxes2)
    offset = (boxes1[..., :2] + boxes1[..., 2:]) / 2 - (boxes2[..., :2] + boxes2[..., 2:]) / 2
    return (offset**2).sum(dim=-1) / (width**2 + height**2 + eps)
