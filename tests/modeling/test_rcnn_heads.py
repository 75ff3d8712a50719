"""Cascade, keypoint and C4 heads, deformable blocks: training, inference, nothing there."""

from typing import Any

import pytest
import torch
from tiny_rcnn import make_batch, tiny_config

from lazycfg import LazyCall as L
from lazycfg import LazyConfig, instantiate
from lazycfg.layers import ShapeSpec
from lazycfg.model_zoo import get_config_file
from lazycfg.modeling import (
    Box2BoxTransform,
    CascadeROIHeads,
    DeformBottleneckBlock,
    FastRCNNConvFCHead,
    FastRCNNOutputLayers,
    KRCNNConvDeconvUpsampleHead,
    Matcher,
    ResNet,
)
from lazycfg.structures import Keypoints
from lazycfg.utils import SyncCounter


def cascade() -> Any:
    config = tiny_config()
    heads = config.roi_heads
    for name in ("box_head", "box_predictor", "proposal_matcher"):
        del heads[name]
    heads.update(
        _target_=CascadeROIHeads,
        box_heads=[
            L(FastRCNNConvFCHead)(
                input_shape=ShapeSpec(channels=16, height=7, width=7), conv_dims=[], fc_dims=[32]
            )
            for _ in range(3)
        ],
        box_predictors=[
            L(FastRCNNOutputLayers)(
                input_shape=ShapeSpec(channels=32),
                test_score_thresh=0.1,
                box2box_transform=L(Box2BoxTransform)(weights=(10, 10, 5, 5)),
                cls_agnostic_bbox_reg=True,
                num_classes=3,
            )
            for _ in range(3)
        ],
        proposal_matchers=[L(Matcher)(thresholds=[t], labels=[0, 1]) for t in (0.5, 0.6, 0.7)],
    )
    return config


def keypoints() -> Any:
    config = tiny_config()
    heads = config.roi_heads
    heads.mask_head = None
    heads.box_predictor.test_score_thresh = 0.1
    heads.keypoint_in_features = heads.mask_in_features
    heads.keypoint_pooler = heads.mask_pooler
    heads.keypoint_head = L(KRCNNConvDeconvUpsampleHead)(
        input_shape=ShapeSpec(channels=16, width=14, height=14),
        num_keypoints=5,
        conv_dims=[16],
        loss_normalizer="visible",
    )
    return config


def keypoint_batch(n: int, empty: tuple[int, ...] = (), visibility: float = 2.0) -> list[dict[str, Any]]:
    batch = make_batch(n, "none", empty)
    for item in batch:
        boxes = item["instances"].gt_boxes.tensor
        where = torch.linspace(0.1, 0.9, 5)[None, :, None]
        xy = boxes[:, None, :2] * (1 - where) + boxes[:, None, 2:] * where
        points = torch.cat((xy, torch.full((len(boxes), 5, 1), visibility)), dim=2)
        item["instances"].gt_keypoints = Keypoints(points)
    return batch


def step(model: torch.nn.Module, batch: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    losses = model.train()(batch)
    sum(losses.values()).backward()
    assert all(torch.isfinite(v) for v in losses.values())
    return losses


@pytest.mark.parametrize("empty", [(), (1,), (0, 1)])
def test_cascade(empty: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    model = instantiate(cascade())
    losses = step(model, make_batch(2, empty=empty))
    for stage in range(3):
        assert f"loss_cls_stage{stage}" in losses
    with torch.no_grad(), SyncCounter() as counter:
        results = model.eval()(make_batch(2))
    assert counter.num_syncs == 3, counter.waits()
    assert all("pred_masks" in x["instances"] for x in results)
    with SyncCounter() as counter:
        model.train()(make_batch(2, empty=empty))
    assert sum(counter.syncs.values()) <= 4


def test_cascade_refuses_unequal_stages() -> None:
    config = cascade()
    config.roi_heads.box_heads = config.roi_heads.box_heads[:2]
    with pytest.raises(ValueError, match="as many"):
        instantiate(config)


@pytest.mark.parametrize("empty", [(), (1,), (0, 1)])
def test_keypoints(empty: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    model = instantiate(keypoints())
    losses = step(model, keypoint_batch(2, empty))
    assert (losses["loss_keypoint"] == 0) == (len(empty) == 2)
    with torch.no_grad():
        for item, out in zip(make_batch(2), model.eval()(make_batch(2)), strict=True):
            instances = out["instances"]
            assert instances.pred_keypoints.shape == (len(instances), 5, 3)
            assert bool((instances.pred_keypoints[..., 0] <= item["width"] + 1).all())


def test_hidden_keypoints_teach_nothing() -> None:
    torch.manual_seed(0)
    losses = step(instantiate(keypoints()), keypoint_batch(2, visibility=0.0))
    assert losses["loss_keypoint"] == 0


def test_c4() -> None:
    config = LazyConfig.load(get_config_file("common/models/mask_rcnn_c4.py")).model
    config.proposal_generator.update(pre_nms_topk=(100, 100), post_nms_topk=(20, 10))
    config.roi_heads.update(batch_size_per_image=16)
    torch.manual_seed(0)
    model = instantiate(config)
    step(model, make_batch(2, empty=(1,)))
    # a fresh network this deep, with frozen norms, is sure of nothing but noise
    for layer in (model.roi_heads.box_predictor, model.proposal_generator.rpn_head.anchor_deltas):
        for p in layer.parameters():
            torch.nn.init.zeros_(p)
    model.roi_heads.box_predictor.test_score_thresh = 0.01
    with torch.no_grad(), SyncCounter() as counter:
        results = model.eval()(make_batch(2))
    assert counter.num_syncs == 3, counter.waits()
    assert all(len(x["instances"]) > 0 for x in results)
    with SyncCounter() as counter:
        model.train()(make_batch(2))
    assert counter.num_syncs == 3, counter.waits()


@pytest.mark.parametrize("modulated", [False, True])
def test_deformable_block(modulated: bool) -> None:
    torch.manual_seed(0)
    blocks = ResNet.make_stage(
        DeformBottleneckBlock,
        2,
        stride_per_block=[2, 1],
        in_channels=8,
        out_channels=16,
        bottleneck_channels=8,
        num_groups=2,
        deform_num_groups=2,
        deform_modulated=modulated,
    )
    stage = torch.nn.Sequential(*blocks)
    x = torch.randn(2, 8, 10, 12)
    out = stage(x)
    assert out.shape == (2, 16, 5, 6)
    out.sum().backward()
    assert all(block.conv2_offset.weight.grad.abs().sum() > 0 for block in blocks)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.isfinite(stage(x)).all()
