"""DensePose, ResNet-101-FPN, head of DeepLab.

The reference published box AP 62.3, segm 68.7, GPS 66.3, GPSm 67.6.
"""

from .densepose_rcnn_R_50_FPN_DL_s1x import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.stages.depth = 101
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-101.pkl"
