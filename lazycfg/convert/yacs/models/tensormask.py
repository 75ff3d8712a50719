"""TensorMask."""

from __future__ import annotations

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.convert.yacs.keys import Keys
from lazycfg.convert.yacs.models.backbones import build_backbone
from lazycfg.convert.yacs.models.common import box_codec, channels_of, images, shapes_of
from lazycfg.convert.yacs.models.proposals import anchors
from lazycfg.layers import ShapeSpec
from lazycfg.projects.tensormask import TensorMask, TensorMaskAnchorGenerator, TensorMaskHead

__all__ = ["tensormask"]


def tensormask(keys: Keys) -> Any:
    """Return a TensorMask."""
    section = "MODEL.TENSOR_MASK"
    backbone, shapes = build_backbone(keys)
    names = keys(f"{section}.IN_FEATURES")
    channels = channels_of(keys, f"{section}.IN_FEATURES", shapes)
    generator, _ = anchors(keys, f"{section}.IN_FEATURES", shapes, kind=TensorMaskAnchorGenerator)
    stride = shapes_of(keys, f"{section}.IN_FEATURES", shapes)[0].stride or 1
    finest = keys("MODEL.ANCHOR_GENERATOR.SIZES")[0]
    return L(TensorMask)(
        backbone=backbone,
        head=L(TensorMaskHead)(
            input_shape=[ShapeSpec(channels=channels)] * len(names),
            num_classes=keys(f"{section}.NUM_CLASSES"),
            num_convs=keys(f"{section}.NUM_CONVS"),
            cls_channels=keys(f"{section}.CLS_CHANNELS"),
            bbox_channels=keys(f"{section}.BBOX_CHANNELS"),
            mask_channels=keys(f"{section}.MASK_CHANNELS") if keys("MODEL.MASK_ON") else 0,
            mask_sizes=tuple(size // stride for size in finest),
            aligned_on=keys(f"{section}.ALIGNED_ON"),
            bipyramid_on=keys(f"{section}.BIPYRAMID_ON"),
        ),
        head_in_features=names,
        anchor_generator=generator,
        box2box_transform=box_codec(keys(f"{section}.BBOX_REG_WEIGHTS")),
        num_classes=keys(f"{section}.NUM_CLASSES"),
        focal_loss_alpha=keys(f"{section}.FOCAL_LOSS_ALPHA"),
        focal_loss_gamma=keys(f"{section}.FOCAL_LOSS_GAMMA"),
        mask_loss_weight=keys(f"{section}.MASK_LOSS_WEIGHT"),
        mask_loss_positive_weight=keys(f"{section}.POSITIVE_WEIGHT"),
        test_score_thresh=keys(f"{section}.SCORE_THRESH_TEST"),
        test_topk_candidates=keys(f"{section}.TOPK_CANDIDATES_TEST"),
        test_nms_thresh=keys(f"{section}.NMS_THRESH_TEST"),
        max_detections_per_image=keys("TEST.DETECTIONS_PER_IMAGE"),
        **images(keys),
    )
