"""Cascade Mask R-CNN, MViTv2-B-FPN, 36 COCO epochs (the reference published box AP 54.1, mask AP 46.7)."""

from ..common.models.mvitv2 import mvitv2_b
from .cascade_mask_rcnn_mvitv2_t_3x import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up = mvitv2_b
del mvitv2_b

train.init_checkpoint = "detectron2://ImageNetPretrained/mvitv2/MViTv2_B_in1k.pyth"
