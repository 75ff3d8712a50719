"""How often the models wait for their device, how many ops they take, where torch.compile cuts them; and
other types of numbers."""

from typing import Any

import pytest
import torch
import torch._dynamo
from small_point_rend import FILES, small_model
from test_point_rend_heads import losses_of, semantic_batch
from tiny_rcnn import make_batch

from lazycfg.layers import ShapeSpec
from lazycfg.projects.point_rend import ConvFCHead
from lazycfg.structures import Boxes
from lazycfg.utils import SyncCounter

# as Mask R-CNN and the semantic segmentor: nothing more is waited for
WAITS = {"pointrend": (3, 3), "implicit": (3, 3), "semantic": (0, 0)}


def batch_of(name: str, n: int) -> list[dict[str, Any]]:
    return semantic_batch(n) if name == "semantic" else make_batch(n, "bitmasks")


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize("name", FILES)
def test_waits_and_ops(name: str, training: bool) -> None:
    model = small_model(name).train(training)
    counts = []
    for n in (1, 2, 8):
        batch = (batch_of(name, 1) * n) if not training else [batch_of(name, 3)[0]] * n
        with torch.set_grad_enabled(training):
            model(batch)  # anchors of a size are made once
            with SyncCounter() as counter:
                model(batch)
        counts.append(counter)
    assert [c.num_syncs for c in counts] == [WAITS[name][not training]] * 3, [c.waits() for c in counts]
    ops = [c.num_ops for c in counts]
    assert max(ops) - min(ops) <= 40, ops


@pytest.mark.parametrize("name", ["pointrend", "implicit"])
def test_images_of_different_sizes_and_numbers_of_objects(name: str) -> None:
    model = small_model(name).train()
    counts = []
    for n in (3, 9):
        batch = make_batch(n, "bitmasks", empty=(1,))
        model(batch)
        with SyncCounter() as counter:
            model(batch)
        counts.append(counter)
    assert {c.num_syncs for c in counts} == {3}
    assert counts[1].num_ops - counts[0].num_ops <= 60, [c.num_ops for c in counts]


@pytest.fixture
def _dynamo():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.usefixtures("_dynamo")
@pytest.mark.parametrize("name", ["pointrend", "implicit"])
def test_the_heads_are_compiled_whole(name: str) -> None:
    head = small_model(name).roi_heads.mask_head.eval()
    features = {"p2": torch.randn(2, 16, 12, 16)}
    boxes = [Boxes([[1.0, 2, 30, 40], [5, 5, 40, 40]]), Boxes([[3.0, 2, 30, 40]])]
    points = torch.rand(3, 9, 2)
    shape = (3, head.num_params) if name == "implicit" else (3, 3, 7, 7)
    cases = [
        (head.pool, (features, boxes)),
        (head.point_logits, (features, boxes, points, torch.randn(shape))),
        (head.parameter_head if name == "implicit" else head.coarse_head, (torch.randn(3, 16, 14, 14),)),
    ]
    for part, arguments in cases:
        explained = torch._dynamo.explain(part)(*arguments)
        assert explained.graph_break_count == 0, explained.break_reasons


SEAMS = [
    "propose_and_sample(",
    "label_and_sample_proposals(",
    "select_foreground_proposals(",
    "fast_rcnn_inference(",
    "mask_targets(",
    "sample_point_labels(",
]


@pytest.mark.slow
@pytest.mark.usefixtures("_dynamo")
@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
def test_the_model_is_cut_where_mask_rcnn_is(training: bool) -> None:
    """And where labels of points are read."""
    model = small_model("pointrend").train(training)
    with torch.set_grad_enabled(training):
        explained = torch._dynamo.explain(model)(make_batch(2, "bitmasks"))
    places = {reason.user_stack[-1].line for reason in explained.break_reasons}
    assert len(places) <= (5 if training else 2), places
    assert all(any(seam in place for seam in SEAMS) for place in places), places


@pytest.mark.usefixtures("_dynamo")
@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
def test_the_semantic_head_is_compiled_whole(training: bool) -> None:
    head = small_model("semantic").sem_seg_head.train(training)
    features = {f"p{k}": torch.randn(2, 16, 64 >> k, 96 >> k) for k in range(2, 6)}
    targets = torch.zeros(2, 64, 96, dtype=torch.int64) if training else None
    explained = torch._dynamo.explain(head)(features, targets)
    assert explained.graph_break_count == 0, explained.break_reasons


@pytest.mark.parametrize("name", FILES)
def test_half_precision(name: str) -> None:
    model = small_model(name)
    batch = batch_of(name, 2)
    torch.manual_seed(0)
    expected = losses_of(model, batch)
    torch.manual_seed(0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = losses_of(model, batch)
        sum(losses.values()).backward()
        with torch.no_grad():
            outputs = model.eval()(batch)
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())
    point = next(k for k in losses if k.endswith("_point"))
    assert losses[point].item() == pytest.approx(expected[point].item(), rel=0.1)
    assert len(outputs) == 2


def test_a_head_on_the_meta_device() -> None:
    with torch.device("meta"):
        head = ConvFCHead(
            ShapeSpec(channels=8, height=4, width=4), conv_dim=4, fc_dims=[8], output_shape=(2, 3)
        )
        assert head(torch.empty(5, 8, 4, 4)).shape == (5, 2, 3)
        model = small_model("semantic").eval()
        images = [{"image": torch.empty(3, 64, 96, device="meta")}]
    assert model(images)[0]["sem_seg"].shape == (5, 64, 96)
