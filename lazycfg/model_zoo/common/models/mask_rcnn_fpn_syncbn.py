"""As `mask_rcnn_fpn_gn.py`, with statistics over the batches of all processes instead."""

from .mask_rcnn_fpn_gn import model

model.backbone.norm = "SyncBN"
model.backbone.bottom_up.stem.norm = "SyncBN"
model.backbone.bottom_up.stages.norm = "SyncBN"
model.roi_heads.box_head.conv_norm = "SyncBN"
model.roi_heads.mask_head.conv_norm = "SyncBN"
