"""A box predictor with another classification loss: one method replaced, all else as it was."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from lazycfg.layers import ShapeSpec
from lazycfg.modeling import FastRCNNOutputLayers

__all__ = ["MyRCNNOutput"]


class MyRCNNOutput(FastRCNNOutputLayers):
    """`FastRCNNOutputLayers` with a softmax focal loss (after arXiv:1708.02002) on the classes.

    Args:
        input_shape: of the features of one region.
        gamma: how much less a region counts that is classified well already; 0 is plain cross-entropy.
        kwargs: the arguments of `FastRCNNOutputLayers`.
    """

    def __init__(self, input_shape: ShapeSpec | int, *, gamma: float = 2.0, **kwargs: Any) -> None:
        super().__init__(input_shape, **kwargs)
        self.gamma = gamma

    def classification_loss(self, scores: Tensor, gt_classes: Tensor) -> Tensor:
        """Return the loss of logits (R, K + 1) and classes (R,), shape ()."""
        cross_entropy = F.cross_entropy(scores, gt_classes, reduction="none")
        missing = 1 - (-cross_entropy).exp()  # 1 - the probability of the right class
        return (missing**self.gamma * cross_entropy).sum() / max(gt_classes.numel(), 1)
