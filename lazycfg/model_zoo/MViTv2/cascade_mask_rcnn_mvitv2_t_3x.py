"""Cascade Mask R-CNN, MViTv2-T-FPN, 36 COCO epochs (the reference published box AP 52.2, mask AP 45.0)."""

from ..common.models.cascade_rcnn import model as cascade
from .mask_rcnn_mvitv2_t_3x import dataloader, lr_multiplier, model, optimizer, train

model.roi_heads = cascade.roi_heads
# Statistics over all processes, each weighed by its number of regions: some may have none.
for _head in model.roi_heads.box_heads:
    _head.update(conv_dims=[256, 256, 256, 256], fc_dims=[1024], conv_norm="naiveSyncBN_N")
model.roi_heads.mask_head.conv_norm = "naiveSyncBN_N"
model.proposal_generator.head.conv_dims = [-1, -1]
del cascade
