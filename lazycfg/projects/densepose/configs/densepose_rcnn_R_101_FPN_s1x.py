"""DensePose, ResNet-101-FPN, charts (the reference published box AP 62.3, segm 67.8, GPS 64.5, GPSm 66.2)."""

from .densepose_rcnn_R_50_FPN_s1x import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.stages.depth = 101
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-101.pkl"
