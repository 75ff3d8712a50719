"""Cascade Mask R-CNN, MViTv2-S-FPN, 36 COCO epochs (the reference published box AP 53.2, mask AP 46.0)."""

from ..common.models.mvitv2 import mvitv2_s
from .cascade_mask_rcnn_mvitv2_t_3x import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up = mvitv2_s
del mvitv2_s

train.init_checkpoint = "detectron2://ImageNetPretrained/mvitv2/MViTv2_S_in1k.pyth"
