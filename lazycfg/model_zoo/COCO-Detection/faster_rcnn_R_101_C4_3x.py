"""Faster R-CNN, ResNet-101-C4, 3x schedule (the reference published box AP 41.1)."""

from .faster_rcnn_R_50_C4_3x import dataloader, lr_multiplier, model, optimizer, train

model.backbone.stages.depth = 101
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-101.pkl"
