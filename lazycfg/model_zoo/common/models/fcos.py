"""FCOS (arXiv:1904.01355) on a feature pyramid over ResNet-50."""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.modeling import FCOS, FCOSHead

from .retinanet import model as retinanet

# P6 and P7 are made of P5, not of C5.
retinanet.backbone.top_block.update(in_channels=256, in_feature="p5")

model: Any = L(FCOS)(
    backbone=retinanet.backbone,
    head=L(FCOSHead)(
        input_shape=retinanet.head.input_shape,
        num_classes=ref("..num_classes"),
        conv_dims=[256, 256, 256, 256],
        prior_prob=0.01,
        norm="GN",
    ),
    head_in_features=retinanet.head_in_features,
    num_classes=80,
    test_score_thresh=0.2,  # of the geometric mean of the class's probability and of centerness
    test_nms_thresh=0.6,
    pixel_mean=retinanet.pixel_mean,
    pixel_std=retinanet.pixel_std,
    input_format="BGR",
)
