"""Panoptic FPN, ResNet-101-FPN, 3x schedule (the reference published box AP 42.4, mask AP 38.5, PQ 43.0)."""

from .panoptic_fpn_R_50_3x import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.stages.depth = 101
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-101.pkl"
