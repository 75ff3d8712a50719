"""Statistics of each level for a head that was trained with one layer for all levels."""

import torch
from torch import nn

from lazycfg.layers import CycleBatchNormList

__all__ = ["split_statistics_by_level"]


def split_statistics_by_level(head: nn.Module, num_levels: int) -> int:
    """Replace each batch normalisation of a head, in place, by one of each level with the same affine.

    The new ones have no statistics yet: compute them by `update_bn_stats`.

    Args:
        head: is applied to one level after the other, in the same order always.
        num_levels: levels it is applied to.

    Returns:
        How many were replaced.
    """
    norms = {
        name: module
        for name, module in head.named_modules()
        if isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm)
    }
    for name, norm in norms.items():
        levels = CycleBatchNormList(
            num_levels,
            bn_class=nn.BatchNorm2d,
            num_features=norm.num_features,
            eps=norm.eps,
            affine=norm.affine,
        )
        if norm.affine:
            with torch.no_grad():
                levels.weight.copy_(norm.weight)
                levels.bias.copy_(norm.bias)
        reference = norm.running_mean if norm.running_mean is not None else norm.weight
        parent, _, leaf = name.rpartition(".")
        setattr(head.get_submodule(parent), leaf, levels.to(reference.device).train(norm.training))
    return len(norms)
