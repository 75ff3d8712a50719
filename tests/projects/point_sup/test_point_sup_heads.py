"""The heads of PointSup: losses at annotated points, and images that are not as others."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from small_point_rend import shrink_backbone, shrink_boxes, shrink_mask_head
from tiny_rcnn import make_batch, tiny_config
from torch import nn

from lazycfg import LazyConfig, instantiate
from lazycfg.layers import ShapeSpec
from lazycfg.projects import point_rend
from lazycfg.projects.point_sup import (
    ImplicitPointRendPointSupHead,
    MaskRCNNConvUpsamplePointSupHead,
    get_point_coords_from_point_annotation,
    get_point_coords_wrt_box,
)
from lazycfg.structures import Boxes, Instances
from lazycfg.utils import SyncCounter
from lazycfg.utils.events import EventStorage

LOSSES = {"mask": {"loss_mask"}, "implicit": {"loss_l2", "loss_mask_point"}}


def small_model(name: str) -> nn.Module:
    torch.manual_seed(0)
    if name == "mask":
        config = tiny_config()
        config.roi_heads.mask_head._target_ = MaskRCNNConvUpsamplePointSupHead
        config.roi_heads.box_predictor.test_score_thresh = 0.0
    else:
        file = Path(point_rend.__file__).parent / "configs" / "common" / "implicit_pointrend_rcnn_fpn.py"
        config = LazyConfig.load(file).model
        shrink_backbone(config.backbone)
        shrink_boxes(config)
        shrink_mask_head(config.roi_heads.mask_head)
        config.roi_heads.mask_head._target_ = ImplicitPointRendPointSupHead
    return instantiate(config)


def batch_of(n: int, empty: tuple[int, ...] = (), points: int = 6) -> list[dict[str, Any]]:
    batch = make_batch(n, "none", empty)
    generator = torch.Generator().manual_seed(3)
    for item in batch:
        x = item["instances"]
        boxes = x.gt_boxes.tensor
        drawn = torch.rand(len(boxes), points, 2, generator=generator)
        x.gt_point_coords = drawn * (boxes[:, None, 2:] - boxes[:, None, :2]) + boxes[:, None, :2]
        x.gt_point_labels = (drawn.sum(dim=2) > 1).float()
    return batch


def losses_of(model: nn.Module, batch: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    with EventStorage(0):
        return model.train()(batch)


@pytest.mark.parametrize("name", LOSSES)
def test_every_parameter_learns(name: str) -> None:
    model = small_model(name)
    losses = losses_of(model, batch_of(3))
    assert set(losses) >= LOSSES[name]
    sum(losses.values()).backward()
    head = model.roi_heads.mask_head
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in head.parameters())
    assert all(p.grad.any() for k, p in head.named_parameters() if k.endswith("weight"))
    assert not head.data_needs().masks


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("empty", [(1,), (0, 1)], ids=["one empty image", "only empty images"])
def test_images_without_objects(name: str, empty: tuple[int, ...]) -> None:
    model = small_model(name)
    losses = losses_of(model, batch_of(2, empty))
    if len(empty) == 2:
        assert all(losses[k] == 0 for k in LOSSES[name])
    sum(losses.values()).backward()
    assert all(
        p.grad is not None and torch.isfinite(p.grad).all() for p in model.roi_heads.mask_head.parameters()
    )


@pytest.mark.parametrize("name", LOSSES)
def test_masks_are_predicted_as_ever(name: str) -> None:
    model = small_model(name).eval()
    with torch.no_grad():
        results = model(make_batch(2))
    assert all(
        x["instances"].pred_masks.shape[1:] == (i["height"], i["width"])
        for x, i in zip(results, make_batch(2), strict=True)
    )


def test_the_loss_is_that_of_the_points() -> None:
    torch.manual_seed(0)
    head = MaskRCNNConvUpsamplePointSupHead(
        ShapeSpec(channels=4, height=7, width=7), num_classes=3, conv_dims=[4], loss_weight=2.0
    )
    nn.init.normal_(head.predictor.weight)
    x = torch.randn(2, 4, 7, 7)
    instances = Instances((50, 60), proposal_boxes=Boxes([[10.0, 5, 30, 45], [0, 0, 20, 10]]))
    instances.gt_classes = torch.tensor([2, 0])
    points = torch.tensor([[[20.0, 25.0], [31.0, 20.0]], [[0.0, 0.0], [15.0, 7.0]]], dtype=torch.float64)
    instances.gt_point_coords, instances.gt_point_labels = points, torch.tensor([[1, 1], [0, 1]])
    with EventStorage(0):
        loss = head.train()(x, [instances])["loss_mask"]
    logits = head.layers(x)
    expected = 0.0
    for row, k, place, label in [(0, 2, (0.5, 0.5), 1.0), (1, 0, (0.0, 0.0), 0.0), (1, 0, (0.75, 0.7), 1.0)]:
        grid = torch.tensor(place).view(1, 1, 1, 2) * 2 - 1
        logit = F.grid_sample(logits[row : row + 1, k : k + 1], grid, align_corners=False).flatten()
        expected += F.binary_cross_entropy_with_logits(logit, torch.tensor([label]))
    # the point outside of its box counts in the mean, and in nothing else
    torch.testing.assert_close(loss, 2.0 * expected / 4)


def test_points_of_boxes_without_size_are_ignored() -> None:
    x = Instances((50, 60), proposal_boxes=Boxes([[10.0, 5, 10, 45]]))
    x.gt_point_coords, x.gt_point_labels = torch.tensor([[[10.0, 7.0], [11.0, 7.0]]]), torch.ones(1, 2)
    coords, labels = get_point_coords_from_point_annotation([x])
    assert labels.tolist() == [[-1.0, -1.0]]
    assert torch.isfinite(coords).all()
    inside = get_point_coords_wrt_box(torch.tensor([[10.0, 5, 30, 45]]), torch.tensor([[[15.0, 25.0]]]))
    assert inside.tolist() == [[[0.25, 0.5]]]


def test_ground_truth_without_points_is_refused() -> None:
    for name in LOSSES:
        with pytest.raises(ValueError, match=r"mapper=@lazycfg.projects.point_sup.PointSupDatasetMapper"):
            losses_of(small_model(name), make_batch(2, "bitmasks"))
    batch = [batch_of(2)[0], batch_of(2, points=5)[1]]
    with pytest.raises(ValueError, match=r"5 points in one image .* and 6 in another.*\n?.*sample_points=5"):
        losses_of(small_model("mask"), batch)


@pytest.mark.parametrize("name", LOSSES)
def test_waits_and_ops(name: str) -> None:
    model = small_model(name).train()
    counts = []
    for n in (1, 2, 8):
        batch = batch_of(1) * n
        model(batch)
        with SyncCounter() as counter:
            model(batch)
        counts.append(counter)
    assert [c.num_syncs for c in counts] == [3, 3, 3], [c.waits() for c in counts]
    ops = [c.num_ops for c in counts]
    assert max(ops) - min(ops) <= 40, ops


@pytest.mark.parametrize("name", LOSSES)
def test_half_precision(name: str) -> None:
    model = small_model(name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = losses_of(model, batch_of(2))
    sum(losses.values()).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.roi_heads.mask_head.parameters())


def test_they_learn_a_few_points() -> None:
    """Objects that are one half of their box, known by six points each."""
    torch.manual_seed(0)
    head = MaskRCNNConvUpsamplePointSupHead(
        ShapeSpec(channels=8, height=7, width=7), num_classes=2, conv_dims=[16, 16]
    )
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-2)
    ramp = torch.linspace(-1, 1, 7).view(1, 1, 1, 7).expand(4, 8, 7, 7).clone()
    ramp[2:] = -ramp[2:]  # the left half, the right half
    for _ in range(60):
        x = Instances((28, 28), proposal_boxes=Boxes(torch.tensor([[0.0, 0, 28, 28]] * 4)))
        x.gt_classes = torch.tensor([0, 1, 0, 1])
        x.gt_point_coords = torch.rand(4, 6, 2) * 28
        right = x.gt_point_coords[..., 0] > 14
        x.gt_point_labels = torch.cat((right[:2], ~right[2:])).float()
        with EventStorage(0):
            loss = head.train()(ramp, [x])["loss_mask"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x = Instances((28, 28), pred_boxes=Boxes(torch.tensor([[0.0, 0, 28, 28]] * 4)))
    x.pred_classes = torch.tensor([0, 1, 0, 1])
    with torch.no_grad():
        head.eval()(ramp, [x])
    masks = x.pred_masks[:, 0] > 0.5
    truth = (torch.arange(14) >= 7).expand(4, 14, 14).clone()
    truth[2:] = ~truth[2:]
    assert (masks == truth).float().mean() > 0.9
