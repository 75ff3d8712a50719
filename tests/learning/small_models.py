"""The zoo's models with sizes for pictures of 64 pixels: their parts and connections stay as they are."""

from itertools import pairwise

from lazycfg import LazyCall as L
from lazycfg.config.tree.node import Node
from lazycfg.layers import ShapeSpec
from lazycfg.modeling import BasicBlock, BasicStem, ResNet
from lazycfg.modeling.meta_arch import FCOS

WIDTHS = (16, 32, 64, 96)
"""Channels of the ResNet's stages."""
CHANNELS = 32
"""Of the pyramid, and inside the heads."""


def shrink(model: Node, num_classes: int, num_labels: int | None) -> None:
    """Make a model of the zoo small, in place.

    Args:
        num_classes: of objects.
        num_labels: of pixels, for models with a semantic head.
    """
    model.pixel_std = [57.0, 57.0, 57.0]
    pyramid = "bottom_up" in model.backbone
    if pyramid:
        model.backbone.bottom_up = resnet(model.backbone.bottom_up.out_features)
        model.backbone.update(out_channels=CHANNELS, norm="BN")
    else:
        model.backbone = resnet(model.backbone.out_features)
    if "proposal_generator" in model:
        shrink_rpn(model.proposal_generator, pyramid)
    if "roi_heads" in model:
        model.roi_heads.update(num_classes=num_classes, batch_size_per_image=16)
        if pyramid:
            shrink_heads(model.roi_heads)
        else:
            shrink_res5_heads(model.roi_heads)
    if "head" in model:
        model.num_classes = num_classes
        model.head.update(input_shape=[ShapeSpec(channels=CHANNELS)] * 5, conv_dims=[CHANNELS] * 2)
        model.backbone.top_block.in_channels = CHANNELS if model._target_ is FCOS else WIDTHS[-1]
    if "sem_seg_head" in model:
        shapes = model.sem_seg_head.input_shape
        model.sem_seg_head.update(
            input_shape={k: ShapeSpec(channels=CHANNELS, stride=v.stride) for k, v in shapes.items()},
            conv_dims=CHANNELS,
            num_classes=num_labels,
        )
    if "combine_stuff_area_thresh" in model:
        model.update(combine_stuff_area_thresh=64, combine_instances_score_thresh=0.2)


def resnet(out_features: list[str]) -> Node:
    return L(ResNet)(
        stem=L(BasicStem)(in_channels=3, out_channels=WIDTHS[0], norm="BN"),
        stages=[
            stage(WIDTHS[0], WIDTHS[0], 1),
            *(stage(a, b, 2) for a, b in pairwise(WIDTHS)),
        ],
        out_features=out_features,
    )


def stage(before: int, after: int, stride: int) -> Node:
    return L(ResNet.make_stage)(
        block_class=BasicBlock, num_blocks=1, stride=stride, in_channels=before, out_channels=after, norm="BN"
    )


def shrink_rpn(rpn: Node, pyramid: bool) -> None:
    rpn.head.in_channels = CHANNELS if pyramid else WIDTHS[2]
    rpn.anchor_generator.sizes = [[20], [32], [48], [64], [96]] if pyramid else [[16, 24, 32, 40, 48]]
    rpn.update(batch_size_per_image=64, pre_nms_topk=(200, 100), post_nms_topk=(60, 30))


def shrink_heads(heads: Node) -> None:
    for head in heads.get("box_heads") or [heads.box_head]:
        head.update(input_shape=ShapeSpec(channels=CHANNELS, height=7, width=7), fc_dims=[64])
    for predictor in heads.get("box_predictors") or [heads.box_predictor]:
        predictor.input_shape = ShapeSpec(channels=64)
    regions = ShapeSpec(channels=CHANNELS, height=14, width=14)
    if "mask_head" in heads:
        heads.mask_head.update(input_shape=regions, conv_dims=[CHANNELS] * 2)
    if "keypoint_head" in heads:
        heads.keypoint_head.update(input_shape=regions, conv_dims=[CHANNELS] * 2, num_keypoints=5)


def shrink_res5_heads(heads: Node) -> None:
    heads.res5 = stage(WIDTHS[2], WIDTHS[3], 2)
    heads.pooler.output_size = 8
    heads.box_predictor.input_shape = ShapeSpec(channels=WIDTHS[3], height=1, width=1)
    heads.mask_head.update(
        input_shape=ShapeSpec(channels=WIDTHS[3], height=4, width=4), conv_dims=[CHANNELS] * 2
    )
