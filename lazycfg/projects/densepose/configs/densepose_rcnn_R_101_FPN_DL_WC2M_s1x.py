"""DensePose, ResNet-101-FPN, head of DeepLab, confidences of coordinates and masks (anisotropic).

The reference published box AP 61.9, segm 68.2, GPS 66.1, GPSm 67.1.
"""

from .densepose_rcnn_R_50_FPN_DL_WC2M_s1x import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.stages.depth = 101
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-101.pkl"
