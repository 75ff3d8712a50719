"""Faster R-CNN of rotated boxes (RRPN, arXiv:1703.01086) on a feature pyramid over ResNet-50."""

from lazycfg import LazyCall as L
from lazycfg.modeling import (
    RRPN,
    Box2BoxTransformRotated,
    RotatedAnchorGenerator,
    RotatedFastRCNNOutputLayers,
    RROIHeads,
)

from .faster_rcnn_fpn import model

rpn = model.proposal_generator
rpn._target_ = RRPN
rpn.anchor_generator._target_ = RotatedAnchorGenerator
rpn.anchor_generator.angles = [-90, 0, 90]
rpn.head.update(num_anchors=9, box_dim=5)
rpn.box2box_transform = L(Box2BoxTransformRotated)(weights=[1.0, 1.0, 1.0, 1.0, 1.0])

heads = model.roi_heads
heads._target_ = RROIHeads
heads.box_pooler.pooler_type = "ROIAlignRotated"
heads.box_predictor._target_ = RotatedFastRCNNOutputLayers
heads.box_predictor.box2box_transform = L(Box2BoxTransformRotated)(weights=[10, 10, 5, 5, 1])
del rpn, heads
