"""Mask R-CNN, ResNet-50-FPN, statistics over all processes, from random weights, 9x schedule.

The reference published box AP 43.6, mask AP 39.3.
"""

from ..common.models.mask_rcnn_fpn_syncbn import model
from ..common.precise_bn import precise_bn
from .scratch_mask_rcnn_R_50_FPN_9x_gn import dataloader, lr_multiplier, optimizer, train

model.backbone.bottom_up.freeze_at = 0
model.pixel_std = [57.375, 57.120, 58.395]
train.hooks = [precise_bn()]
