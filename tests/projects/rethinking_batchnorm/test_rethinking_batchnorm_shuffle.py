"""Heads on regions shuffled over two processes: results and gradients are those on the shuffled parts."""

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn

from lazycfg.layers import ShapeSpec
from lazycfg.modeling import FastRCNNConvFCHead, MaskRCNNConvUpsampleHead
from lazycfg.projects.rethinking_batchnorm import ShuffledBoxHead, ShuffledMaskHead, run_shuffled

ROWS = [(5, 3), (0, 4), (1, 0), (0, 0)]


def rows_of(counts: tuple[int, int], rank: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(counts))
    x = torch.randn(sum(counts), 2, 3, 3, generator=generator, dtype=torch.float64)
    return x.split(counts)[rank].clone().requires_grad_()


def function(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    layers = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Conv2d(4, 3, 1))
    return layers.double()


def expected(counts: tuple[int, int], seed: int) -> tuple[torch.Tensor, ...]:
    """Outputs of all rows, gradients of all inputs and of the weights, in one process."""
    x = torch.cat([rows_of(counts, rank) for rank in range(2)]).detach().requires_grad_()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))
    share = -(-len(x) // 2)
    layers = function()
    parts = [layers(x[order[start : start + share]]) for start in (0, share)]
    out = torch.cat(parts)[order.argsort()]
    (out * torch.arange(out.numel(), dtype=out.dtype).view(out.shape)).sum().backward()
    return out.detach(), x.grad, layers[0].weight.grad


def _worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    for counts in ROWS:
        x = rows_of(counts, rank)
        layers = function()
        torch.manual_seed(5 + rank)
        seeds = [int(torch.randint(1 << 62, (), generator=torch.Generator().manual_seed(5)))]
        out = run_shuffled(layers, x)
        assert out.shape == (counts[rank], 3, 3, 3)
        total = sum(counts) * 27
        values = torch.arange(total, dtype=out.dtype).view(-1, 3, 3, 3).split(counts)[rank]
        (out * values).sum().backward()
        if total == 0:
            continue
        whole, x_grad, w_grad = expected(counts, seeds[0])
        torch.testing.assert_close(out, whole.split(counts)[rank])
        torch.testing.assert_close(x.grad, x_grad.split(counts)[rank])
        # each process has the gradient of its part, as of its own batch
        weights = layers[0].weight.grad.clone()
        dist.all_reduce(weights)
        torch.testing.assert_close(weights, w_grad)
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes(tmp_path: Path) -> None:
    torch.multiprocessing.start_processes(_worker, args=(str(tmp_path),), nprocs=2, start_method="spawn")


@pytest.mark.parametrize("training", [True, False])
def test_one_process_changes_nothing(training: bool) -> None:
    shape = ShapeSpec(channels=2, height=4, width=4)
    x = torch.randn(3, 2, 4, 4)
    for ours, plain, options in (
        (ShuffledBoxHead, FastRCNNConvFCHead, {"conv_dims": [4], "fc_dims": [5]}),
        (ShuffledMaskHead, MaskRCNNConvUpsampleHead, {"conv_dims": [4, 4], "num_classes": 2}),
    ):
        head, other = (kind(shape, conv_norm="BN", **options).train(training) for kind in (ours, plain))
        head.load_state_dict(other.state_dict())
        call = "layers" if hasattr(head, "layers") else "forward"
        torch.testing.assert_close(getattr(head, call)(x), getattr(other, call)(x))
