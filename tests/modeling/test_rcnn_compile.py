"""torch.compile takes the parts whole, and the model in pieces that are cut at fixed places."""

import pytest
import torch
import torch._dynamo
from tiny_rcnn import make_batch, tiny_model

from lazycfg.structures import Boxes


@pytest.fixture(autouse=True)
def _fresh():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize("training", [False, True])
def test_parts_are_not_cut(training: bool) -> None:
    model = tiny_model().train(training)
    heads = model.roi_heads
    maps = [torch.randn(1, 16, 24 // s, 24 // s) for s in (1, 2, 4, 8)]
    parts = [
        (model.backbone, (torch.randn(1, 3, 64, 96),)),
        (model.proposal_generator.rpn_head, (maps,)),
        (heads.box_pooler, (maps, [Boxes(torch.tensor([[1.0, 2, 30, 40], [5, 5, 90, 90]]))])),
        (heads.box_head, (torch.randn(5, 16, 7, 7),)),
        (heads.box_predictor, (torch.randn(5, 32),)),
        (heads.mask_head.layers, (torch.randn(5, 16, 14, 14),)),
    ]
    for part, arguments in parts:
        explained = torch._dynamo.explain(part)(*arguments)
        assert explained.graph_break_count == 0, explained.break_reasons


def test_the_model_is_cut_at_the_proposals_and_the_detections() -> None:
    model = tiny_model().eval()
    with torch.no_grad():
        explained = torch._dynamo.explain(model)(make_batch(2))
    places = {
        reason.user_stack[-1].name + ":" + reason.user_stack[-1].line for reason in explained.break_reasons
    }
    assert len(places) <= 3, places
