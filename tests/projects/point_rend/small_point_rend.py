"""The models of PointRend from their files, small enough for tests that run them many times."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from lazycfg import LazyConfig, instantiate
from lazycfg.layers import ShapeSpec
from lazycfg.projects import point_rend

CONFIGS = Path(point_rend.__file__).parent / "configs"
FILES = {
    "pointrend": "common/pointrend_rcnn_fpn.py",
    "implicit": "common/implicit_pointrend_rcnn_fpn.py",
    "semantic": "common/pointrend_semantic_fpn.py",
}


def small_config(name: str) -> Any:
    model = LazyConfig.load(CONFIGS / FILES[name]).model
    shrink_backbone(model.backbone)
    if name == "semantic":
        head = model.sem_seg_head
        head.coarse_sem_seg_head.update(num_classes=5, conv_dims=32)
        for spec in head.coarse_sem_seg_head.input_shape.values():
            object.__setattr__(spec, "channels", 16)
        head.point_head.update(input_shape=ShapeSpec(channels=16), fc_dims=[16, 16])
        head.update(train_num_points=64, subdivision_num_points=100)
        return model
    shrink_boxes(model)
    shrink_mask_head(model.roi_heads.mask_head)
    return model


def shrink_backbone(backbone: Any) -> None:
    del backbone.bottom_up.stages["stride_in_1x1"]
    backbone.bottom_up.stages.depth = 18
    backbone.out_channels = 16


def shrink_boxes(model: Any) -> None:
    rpn, heads = model.proposal_generator, model.roi_heads
    rpn.head.in_channels = 16
    rpn.anchor_generator.sizes = [[8], [16], [32], [64], [128]]
    rpn.pre_nms_topk, rpn.post_nms_topk = (100, 100), (50, 30)
    heads.update(num_classes=3, batch_size_per_image=64)
    heads.box_head.update(input_shape=ShapeSpec(channels=16, height=7, width=7), fc_dims=[32])
    heads.box_predictor.update(
        input_shape=ShapeSpec(channels=32), test_score_thresh=0.0, test_topk_per_image=10
    )


def shrink_mask_head(head: Any) -> None:
    head.point_head.input_shape = ShapeSpec(channels=16)
    if "channels" in head.point_head:
        head.point_head.update(channels=8, positional_channels=16)
    else:
        head.point_head.fc_dims = [16, 16]
    for name in ("coarse_head", "parameter_head"):
        if name in head:
            head[name].update(
                input_shape=ShapeSpec(channels=16, height=14, width=14), conv_dim=16, fc_dims=[32]
            )
    head.update(mask_point_train_num_points=40, mask_point_subdivision_num_points=196)


def small_model(name: str, **mask_head: Any) -> nn.Module:
    torch.manual_seed(0)
    config = small_config(name)
    if mask_head:
        config.roi_heads.mask_head.update(mask_head)
    return instantiate(config)
