"""Cascade Mask R-CNN (arXiv:1712.00726): three stages of boxes, at IoU 0.5, 0.6 and 0.7."""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.layers import ShapeSpec
from lazycfg.modeling import (
    Box2BoxTransform,
    CascadeROIHeads,
    FastRCNNConvFCHead,
    FastRCNNOutputLayers,
    Matcher,
)

from .mask_rcnn_fpn import model as mask_rcnn

# A copy, so that a file may take parts of both.
model: Any = mask_rcnn.copy()

for name in ("box_head", "box_predictor", "proposal_matcher"):
    del model.roi_heads[name]
del name, mask_rcnn

model.roi_heads.update(
    _target_=CascadeROIHeads,
    box_heads=[
        L(FastRCNNConvFCHead)(
            input_shape=ShapeSpec(channels=256, height=7, width=7), conv_dims=[], fc_dims=[1024, 1024]
        )
        for _ in range(3)
    ],
    box_predictors=[
        L(FastRCNNOutputLayers)(
            input_shape=ShapeSpec(channels=1024),
            test_score_thresh=0.05,
            box2box_transform=L(Box2BoxTransform)(weights=(w1, w1, w2, w2)),
            cls_agnostic_bbox_reg=True,
            num_classes=ref("...num_classes"),
        )
        for w1, w2 in [(10, 5), (20, 10), (30, 15)]
    ],
    proposal_matchers=[
        L(Matcher)(thresholds=[threshold], labels=[0, 1], allow_low_quality_matches=False)
        for threshold in (0.5, 0.6, 0.7)
    ],
)
