"""What `SyncCounter` says of each family on any device, said by CUDA itself."""

import warnings
from collections.abc import Callable

import pytest
import torch
from test_model_budget import BUDGET
from tiny_families import FAMILIES, family, make_inputs

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA"),
]


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("pinned", [True, False], ids=["pinned", "pageable"])
def test_waits(name: str, training: bool, pinned: bool, capfd: pytest.CaptureFixture[str]) -> None:
    model = family(name).cuda().train(training)
    for n in (1, 2, 8):
        batch = pin(make_inputs(n, name, "bitmasks")) if pinned else make_inputs(n, name)
        with torch.set_grad_enabled(training):
            model(batch)  # anchors of a size are made once, kernels are loaded
            places = waits(lambda batch=batch: model(batch), capfd)
        assert len(places) <= BUDGET[name][not training], "\n".join(places)


@pytest.mark.parametrize("masks", ["bitmasks", "polygons"])
def test_page_locked_inputs_give_the_same(masks: str) -> None:
    """Images of the data loader go to the GPU one by one, others together."""
    model = family("mask").cuda().train()
    losses = []
    for prepare in (pin, list):
        torch.manual_seed(0)
        losses.append(model(prepare(make_inputs(3, "mask", masks, [(64, 96), (80, 64), (96, 96)]))))
    for name, value in losses[0].items():
        torch.testing.assert_close(value, losses[1][name], rtol=1e-4, atol=1e-5)


def pin(batch: list) -> list:
    """As the data loader leaves its batches."""
    return [{k: v.pin_memory() if hasattr(v, "pin_memory") else v for k, v in x.items()} for x in batch]


def waits(call: Callable[[], object], capfd: pytest.CaptureFixture[str]) -> list[str]:
    """Where a call makes the host wait for the GPU. CUDA says it as a warning, where no interpreter runs in
    the op on the error stream."""
    torch.cuda.synchronize()
    capfd.readouterr()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            call()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    said = [f"{w.filename}:{w.lineno}: {w.message}" for w in caught]
    return [
        line for line in [*said, *capfd.readouterr().err.splitlines()] if "called a synchronizing" in line
    ]
