"""Mask R-CNN with group normalisation (arXiv:1803.08494), and four convolutions in the box head."""

from .mask_rcnn_fpn import model

model.backbone.norm = "GN"
model.backbone.bottom_up.stem.norm = "GN"
model.backbone.bottom_up.stages.update(norm="GN", stride_in_1x1=False)
model.roi_heads.box_head.update(conv_dims=[256, 256, 256, 256], fc_dims=[1024], conv_norm="GN")
model.roi_heads.mask_head.conv_norm = "GN"
