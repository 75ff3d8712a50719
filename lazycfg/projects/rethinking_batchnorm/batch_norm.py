"""Batch normalisation that never uses its running statistics."""

import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["BatchNormBatchStat"]


class BatchNormBatchStat(nn.BatchNorm2d):
    """A `torch.nn.BatchNorm2d` that normalises by the statistics of the batch in evaluation, too.

    In training it is a `torch.nn.BatchNorm2d`, whose arguments, keys and running statistics it has. The class
    itself can be given as a norm.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W).

        Raises:
            ValueError: each channel has a single value, which is no batch.
        """
        if self.training:
            return super().forward(input)
        return F.batch_norm(input, None, None, self.weight, self.bias, training=True, eps=self.eps)
