"""Exact statistics for batch normalisation."""

import logging
from collections.abc import Iterable
from itertools import islice
from typing import Any

import torch
from torch import nn

from ..distributed import preserved_rng
from .base import HookBase

__all__ = ["PreciseBN", "update_bn_stats"]

logger = logging.getLogger(__name__)


class PreciseBN(HookBase):
    """Replaces the running averages of batch normalisation by means over many batches with the weights as
    they are. Wu & Johnson, "Rethinking Batch in BatchNorm", 2021. Put it before the `EvalHook`.

    Args:
        period: iterations between two updates, usually that of the evaluation; 0 for only the end.
        data_loader: batches as in training, from a loader of its own: the training's must not be used up.
        num_iter: how many batches.
    """

    def __init__(self, period: int, data_loader: Iterable[Any], num_iter: int = 200) -> None:
        self.period = period
        self.data_loader = data_loader
        self.num_iter = num_iter

    def after_step(self) -> None:
        """Compute the statistics anew where a period ends, and after the last step."""
        if self.is_due(self.period) or self.trainer.iter + 1 == self.trainer.max_iter:
            with preserved_rng():
                count = update_bn_stats(self.trainer.model, islice(self.data_loader, self.num_iter))
            logger.info("statistics of %d normalisation layers updated", count)


@torch.no_grad()
def update_bn_stats(model: nn.Module, batches: Iterable[Any]) -> int:
    """Set running statistics to the mean, over some batches, of the statistics of each batch.

    Args:
        model: in training mode; layers in evaluation mode are left alone.
        batches: what the model takes.

    Returns:
        the number of layers.
    """
    layers = [
        module
        for module in model.modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        and module.training
        and module.track_running_stats
    ]
    momenta = [layer.momentum for layer in layers]
    if not layers:
        return 0
    try:
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # the plain mean over all batches
        for batch in batches:
            model(batch)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
    return len(layers)
