"""DensePose, ResNet-101-FPN, confidences (isotropic).

The reference published box AP 62.5, segm 67.6, GPS 64.9, GPSm 66.3.
"""

from .densepose_rcnn_R_50_FPN_WC1_s1x import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.stages.depth = 101
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-101.pkl"
