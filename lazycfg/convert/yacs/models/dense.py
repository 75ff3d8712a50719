"""RetinaNet."""

from __future__ import annotations

from typing import Any

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.convert.yacs.keys import Keys
from lazycfg.convert.yacs.models.backbones import build_backbone
from lazycfg.convert.yacs.models.common import box_codec, channels_of, images, matcher
from lazycfg.convert.yacs.models.proposals import anchors
from lazycfg.layers import ShapeSpec
from lazycfg.modeling import RetinaNet, RetinaNetHead

__all__ = ["retinanet"]


def retinanet(keys: Keys) -> Any:
    """Return a RetinaNet."""
    section = "MODEL.RETINANET"
    backbone, shapes = build_backbone(keys)
    names = keys(f"{section}.IN_FEATURES")
    channels = channels_of(keys, f"{section}.IN_FEATURES", shapes)
    generator, number = anchors(keys, f"{section}.IN_FEATURES", shapes)
    return L(RetinaNet)(
        backbone=backbone,
        head=L(RetinaNetHead)(
            input_shape=[ShapeSpec(channels=channels)] * len(names),
            num_classes=ref("..num_classes"),
            conv_dims=[channels] * keys(f"{section}.NUM_CONVS"),
            prior_prob=keys(f"{section}.PRIOR_PROB"),
            norm=keys(f"{section}.NORM"),
            num_anchors=number,
        ),
        head_in_features=names,
        anchor_generator=generator,
        box2box_transform=box_codec(keys(f"{section}.BBOX_REG_WEIGHTS")),
        anchor_matcher=matcher(keys, section, low_quality=True),
        num_classes=keys(f"{section}.NUM_CLASSES"),
        focal_loss_alpha=keys(f"{section}.FOCAL_LOSS_ALPHA"),
        focal_loss_gamma=keys(f"{section}.FOCAL_LOSS_GAMMA"),
        smooth_l1_beta=keys(f"{section}.SMOOTH_L1_LOSS_BETA"),
        box_reg_loss_type=keys(f"{section}.BBOX_REG_LOSS_TYPE"),
        test_score_thresh=keys(f"{section}.SCORE_THRESH_TEST"),
        test_topk_candidates=keys(f"{section}.TOPK_CANDIDATES_TEST"),
        test_nms_thresh=keys(f"{section}.NMS_THRESH_TEST"),
        max_detections_per_image=keys("TEST.DETECTIONS_PER_IMAGE"),
        **images(keys),
        vis_period=keys("VIS_PERIOD"),
    )
