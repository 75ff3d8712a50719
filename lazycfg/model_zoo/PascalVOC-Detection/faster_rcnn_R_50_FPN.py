"""Faster R-CNN, ResNet-50-FPN, Pascal VOC 2007 and 2012, 18,000 steps."""

from ..common.models.faster_rcnn_fpn import model
from .faster_rcnn_R_50_C4 import dataloader, lr_multiplier, optimizer, train

model.backbone.bottom_up.freeze_at = 2
model.roi_heads.num_classes = 20
