"""Faster R-CNN, ResNet-101-FPN, 3x schedule (the reference published box AP 42.0)."""

from .faster_rcnn_R_50_FPN_3x import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.stages.depth = 101
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-101.pkl"
