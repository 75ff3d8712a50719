"""Heads that are trained on regions of all processes, shuffled (arXiv:2105.07576, section 5.2)."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from lazycfg.modeling import FastRCNNConvFCHead, MaskRCNNConvUpsampleHead
from lazycfg.utils import all_gather, get_rank, get_world_size

__all__ = ["ShuffledBoxHead", "ShuffledMaskHead", "run_shuffled"]


class ShuffledBoxHead(FastRCNNConvFCHead):
    """`FastRCNNConvFCHead` that is applied in training to regions drawn from those of all processes.

    So the batch of a normalisation has regions of many images, whose labels cannot be told from each other's.
    Evaluation is that of `FastRCNNConvFCHead`.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map regions (R, C, H, W) to (R, fc_dim)."""
        return run_shuffled(super().forward, x) if self.training else super().forward(x)


class ShuffledMaskHead(MaskRCNNConvUpsampleHead):
    """`MaskRCNNConvUpsampleHead` that is applied in training as `ShuffledBoxHead` is."""

    def layers(self, x: Tensor) -> Tensor:
        """Map regions (R, C, H, W) to mask logits (R, K, M, M)."""
        return run_shuffled(super().layers, x) if self.training else super().layers(x)


@torch.compiler.disable
def run_shuffled(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a function of rows to rows that are shuffled over all processes, and put its results back.

    Every process must call it; each may have another number of rows, or none. It gets an equal share of all
    rows (the last ones may get fewer, or none). The gradient is that of the function on these shares. With
    one process the function is applied to the rows as they are.

    Args:
        function: (n, ...) -> (n, ...), a row for each row.
        x: (N, ...), the rows of this process.
    """
    world, rank = get_world_size(), get_rank()
    if world == 1:
        return function(x)
    # One exchange of host numbers; all draw a seed, and that of the main process counts
    counts, seeds = zip(*all_gather((len(x), int(torch.randint(1 << 62, ())))), strict=True)
    total = sum(counts)
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seeds[0]))
    share = -(-total // world)
    starts = [min(r * share, total) for r in range(world + 1)]
    mine = order[starts[rank] : starts[rank + 1]].to(x.device)
    results = function(gather_rows(x, counts)[mine])
    shares = [end - start for start, end in pairwise(starts)]
    first = sum(counts[:rank])
    back = order.argsort()[first : first + counts[rank]].to(x.device)
    return gather_rows(results, shares)[back]


def gather_rows(x: Tensor, counts: Sequence[int]) -> Tensor:
    """Return the rows of all processes, shape (N, ...), by rank; gradients go back to their owners.

    Args:
        x: (counts of this process, ...).
        counts: rows of each process.
    """
    longest = max(counts)
    padded = F.pad(x, (0, 0) * (x.dim() - 1) + (0, longest - len(x)))
    gathered = _Gather.apply(padded)
    return torch.cat([rows[:count] for rows, count in zip(gathered, counts, strict=True)])


class _Gather(torch.autograd.Function):
    """Tensors of one shape from all processes, (processes, ...); the gradient is the sum over them."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Return the tensors (N, ...) of all processes, (P, N, ...)."""
        parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(get_world_size())]
        dist.all_gather(parts, x.contiguous())
        return torch.stack(parts)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        """Return the sum over the processes of the gradient of this one, (N, ...)."""
        grad = grad.contiguous()
        dist.all_reduce(grad)
        return grad[get_rank()]
