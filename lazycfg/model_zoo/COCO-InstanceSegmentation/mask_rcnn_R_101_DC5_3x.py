"""Mask R-CNN, ResNet-101-DC5, 3x schedule (the reference published box AP 41.9, mask AP 37.3)."""

from .mask_rcnn_R_50_DC5_3x import dataloader, lr_multiplier, model, optimizer, train

model.backbone.stages.depth = 101
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-101.pkl"
