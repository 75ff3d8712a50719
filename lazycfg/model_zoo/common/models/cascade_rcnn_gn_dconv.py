"""Cascade Mask R-CNN with deformable convolutions, and group normalisation in the heads."""

from .cascade_rcnn import model

model.backbone.bottom_up.stages.update(stride_in_1x1=False, deform_on_per_stage=[False, True, True, True])
for _head in model.roi_heads.box_heads:
    _head.update(conv_dims=[256, 256, 256, 256], fc_dims=[1024], conv_norm="GN")
model.roi_heads.mask_head.conv_norm = "GN"
