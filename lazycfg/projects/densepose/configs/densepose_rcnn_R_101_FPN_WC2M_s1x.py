"""DensePose, ResNet-101-FPN, confidences of coordinates and masks (anisotropic).

The reference published box AP 62.5, segm 67.4, GPS 64.5, GPSm 66.0.
"""

from .densepose_rcnn_R_50_FPN_WC2M_s1x import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.stages.depth = 101
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-101.pkl"
