"""Cascade Mask R-CNN with group normalisation and deformable convolutions, as the zoo's largest models."""

from .cascade_rcnn import model

model.backbone.norm = "GN"
model.backbone.bottom_up.stem.norm = "GN"
model.backbone.bottom_up.stages.update(
    norm="GN", stride_in_1x1=False, deform_on_per_stage=[False, True, True, True]
)
for head in model.roi_heads.box_heads:
    head.update(conv_dims=[256, 256, 256, 256], fc_dims=[1024], conv_norm="GN")
model.roi_heads.mask_head.conv_norm = "GN"
