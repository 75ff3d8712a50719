"""Boxes that a stage of a cascade has made empty: they stay in the batch and have no part in the losses."""

import pytest
import torch
from tiny_families import family, make_inputs

from lazycfg.modeling import Box2BoxTransform, FastRCNNOutputLayers
from lazycfg.modeling.roi_heads.fast_rcnn import IGNORED
from lazycfg.structures import Boxes, Instances
from lazycfg.utils import EventStorage


@pytest.mark.parametrize(
    "kind", [{}, {"use_sigmoid_ce": True}, {"box_reg_loss_type": "giou"}, {"cls_agnostic_bbox_reg": True}]
)
def test_losses_are_those_without_the_ignored(kind: dict[str, object]) -> None:
    torch.manual_seed(0)
    predictor = FastRCNNOutputLayers(
        8, box2box_transform=Box2BoxTransform(weights=(10, 10, 5, 5)), num_classes=3, **kind
    )
    x = torch.randn(6, 8, requires_grad=True)
    low = torch.rand(6, 2) * 50
    boxes = torch.cat((low, low + 10 + torch.rand(6, 2) * 20), dim=1)
    classes = torch.tensor([0, IGNORED, 3, 2, IGNORED, 3])
    keep = classes != IGNORED

    def run(rows: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor, dict[str, float]]:
        proposals = Instances((100, 100), proposal_boxes=Boxes(boxes[rows]), gt_classes=classes[rows])
        proposals.gt_boxes = Boxes(boxes[rows] + 1)
        with EventStorage() as storage:
            losses = predictor.losses(predictor(x[rows]), [proposals])
            statistics = {name: float(value[0]) for name, value in storage.latest().items()}
        (grad,) = torch.autograd.grad(sum(losses.values()), x)
        return losses, grad, statistics

    with_them, without = run(torch.ones(6, dtype=torch.bool)), run(keep)
    for name, loss in without[0].items():
        torch.testing.assert_close(with_them[0][name], loss)
    torch.testing.assert_close(with_them[1], without[1])
    assert bool((with_them[1][~keep] == 0).all())
    assert with_them[2] == pytest.approx(without[2])


def test_nothing_counts() -> None:
    predictor = FastRCNNOutputLayers(8, box2box_transform=Box2BoxTransform(), num_classes=3)
    x = Instances((9, 9), proposal_boxes=Boxes(torch.ones(2, 4)), gt_classes=torch.full((2,), IGNORED))
    x.gt_boxes = x.proposal_boxes
    losses = predictor.losses(predictor(torch.randn(2, 8)), [x])
    assert all(float(loss.detach()) == 0 for loss in losses.values())


def test_a_cascade_goes_on_without_them() -> None:
    model = family("cascade").train()
    with torch.no_grad():  # the first stage makes every box vanishingly thin, to the left of the image
        model.roi_heads.box_predictor[0].bbox_pred.bias[0] = -1e4
    losses = model(make_inputs(2, "cascade"))
    sum(losses.values()).backward()
    assert float(losses["loss_cls_stage0"].detach()) > 0
    for name in ("loss_cls_stage1", "loss_box_reg_stage1", "loss_cls_stage2", "loss_box_reg_stage2"):
        assert float(losses[name].detach()) == 0
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
