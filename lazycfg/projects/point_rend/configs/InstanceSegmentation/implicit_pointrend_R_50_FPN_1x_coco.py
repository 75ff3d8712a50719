"""Implicit PointRend, ResNet-50-FPN, 1x schedule."""

from ..common.implicit_pointrend_rcnn_fpn import model
from .pointrend_rcnn_R_50_FPN_1x_coco import dataloader, lr_multiplier, optimizer, train

model.backbone.bottom_up.freeze_at = 2
