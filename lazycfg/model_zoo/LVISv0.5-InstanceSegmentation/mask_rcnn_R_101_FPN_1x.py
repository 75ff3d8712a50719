"""Mask R-CNN, ResNet-101-FPN, LVIS v0.5, 90,000 steps (the reference: box AP 25.6, mask AP 25.9)."""

from .mask_rcnn_R_50_FPN_1x import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.stages.depth = 101
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-101.pkl"
