"""Mask R-CNN on one map of stride 16 whose last stage is dilated ("DC5"): C4's proposals, FPN's heads."""

from lazycfg.layers import ShapeSpec

from .mask_rcnn_c4 import model
from .mask_rcnn_fpn import model as fpn

model.backbone.stages.res5_dilation = 2
model.backbone.out_features = ["res5"]
model.proposal_generator.in_features = ["res5"]
model.proposal_generator.head.in_channels = 2048

model.roi_heads = fpn.roi_heads
model.roi_heads.update(box_in_features=["res5"], mask_in_features=["res5"])
model.roi_heads.box_pooler.scales = (1.0 / 16,)
model.roi_heads.mask_pooler.scales = (1.0 / 16,)
model.roi_heads.box_head.input_shape = ShapeSpec(channels=2048, height=7, width=7)
model.roi_heads.mask_head.input_shape = ShapeSpec(channels=2048, height=14, width=14)
del fpn
