"""torch.compile cuts Mask R-CNN and RetinaNet at fixed places only, whatever the sizes; half precision and
channels_last give (nearly) the same."""

from typing import Any

import pytest
import torch
import torch._dynamo
from tiny_families import family, make_inputs
from torch import nn

# the functions that are left out of the graphs: what the host decides, or does
SEAMS = {
    "mask": {
        "propose_and_sample(",
        "label_and_sample_proposals(",
        "select_foreground_proposals(",
        "fast_rcnn_inference(",
        "mask_targets(",
    },
    "retinanet": {".detect("},
}


@pytest.fixture(autouse=True)
def _fresh():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.slow
@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("name", SEAMS)
def test_the_model_is_cut_at_fixed_places(name: str, training: bool) -> None:
    model = family(name).train(training)
    with torch.set_grad_enabled(training):
        explained = torch._dynamo.explain(model)(make_inputs(2, name))
    places = {reason.user_stack[-1].line for reason in explained.break_reasons}
    assert len(places) <= (4 if training else 3), places
    assert all(any(seam in place for seam in SEAMS[name]) for place in places), places


def test_the_parts_of_retinanet_are_not_cut() -> None:
    model = family("retinanet")
    for part, x in (
        (model.backbone, torch.randn(1, 3, 64, 96)),
        (model.head, [torch.randn(1, 16, 96 // s, 64 // s) for s in (8, 16, 32)]),
    ):
        explained = torch._dynamo.explain(part)(x)
        assert explained.graph_break_count == 0, explained.break_reasons


@pytest.mark.slow
def test_sizes_that_change_are_not_compiled_again_and_again() -> None:
    graphs = []

    def backend(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    backbone = torch.compile(family("mask").eval().backbone, backend=backend)
    with torch.no_grad():
        for i in range(8):
            backbone(torch.randn(1 + i % 3, 3, 64 + 32 * i, 96 + 32 * (i % 5)))
    # for the first size, and then once or twice for all others (a batch of one is special)
    assert len(graphs) <= 3


@pytest.mark.slow
@pytest.mark.parametrize("name", SEAMS)
def test_compiled_is_the_same(name: str) -> None:
    model = family(name).train()
    batch = make_inputs(2, name)
    torch.manual_seed(0)
    normalizer = {k: v.clone() for k, v in model.named_buffers() if "normalizer" in k}
    expected = model(batch)
    for k, v in normalizer.items():
        model.get_buffer(k).copy_(v)
    torch.manual_seed(0)
    losses = torch.compile(model, backend="eager")(batch)
    for key, value in expected.items():
        torch.testing.assert_close(losses[key], value, rtol=1e-4, atol=1e-5)


def losses_and_gradient(model: nn.Module, name: str) -> tuple[dict[str, float], float]:
    torch.manual_seed(0)
    losses = model(make_inputs(2, name))
    grads = torch.autograd.grad(sum(losses.values()), [p for p in model.parameters() if p.requires_grad])
    norm = torch.stack([g.float().norm() for g in grads]).norm()
    return {k: float(v.detach()) for k, v in losses.items()}, float(norm)


@pytest.mark.parametrize("name", SEAMS)
def test_bf16_and_channels_last_train_alike(name: str) -> None:
    # unsaturated, as a model that has begun to learn: random features are far too large for half precision
    def fresh() -> nn.Module:
        model = family(name).train()
        with torch.no_grad():
            for key, value in model.named_buffers():
                if "bottom_up" in key and key.endswith("conv2.norm.weight"):
                    value.mul_(0.2)
        return model

    expected, norm = losses_and_gradient(fresh(), name)
    last, norm_last = losses_and_gradient(fresh().to(memory_format=torch.channels_last), name)
    assert last == pytest.approx(expected, rel=1e-3)
    assert norm_last == pytest.approx(norm, rel=1e-2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half, norm_half = losses_and_gradient(fresh(), name)
    # other proposals may be sampled: the sum is what stays
    assert sum(half.values()) == pytest.approx(sum(expected.values()), rel=0.1)
    assert norm_half == pytest.approx(norm, rel=0.3)


@pytest.mark.parametrize("name", SEAMS)
def test_bf16_and_channels_last_detect_alike(name: str) -> None:
    model = family(name).eval()
    batch = make_inputs(2, name)
    with torch.no_grad():
        expected = [x["instances"] for x in model(batch)]
        last = [x["instances"] for x in model.to(memory_format=torch.channels_last)(batch)]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = [x["instances"] for x in model(batch)]
    assert sum(len(x) for x in expected) > 0
    for a, b, c in zip(expected, last, half, strict=True):
        assert len(a) == len(b)
        torch.testing.assert_close(a.scores, b.scores, rtol=1e-3, atol=1e-4)
        assert all(torch.isfinite(x).all() for x in (c.scores, c.pred_boxes.tensor))
        n = min(len(a), len(c))
        assert float((a.scores[:n] - c.scores[:n]).abs().mean()) < 0.05
