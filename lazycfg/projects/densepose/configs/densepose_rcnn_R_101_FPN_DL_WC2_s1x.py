"""DensePose, ResNet-101-FPN, head of DeepLab, confidences (anisotropic).

The reference published box AP 61.7, segm 68.3, GPS 65.9, GPSm 67.2.
"""

from .densepose_rcnn_R_50_FPN_DL_WC2_s1x import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.stages.depth = 101
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-101.pkl"
