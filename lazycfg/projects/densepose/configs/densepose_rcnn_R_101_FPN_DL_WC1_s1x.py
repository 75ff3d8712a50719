"""DensePose, ResNet-101-FPN, head of DeepLab, confidences (isotropic).

The reference published box AP 62.0, segm 68.4, GPS 66.2, GPSm 67.2.
"""

from .densepose_rcnn_R_50_FPN_DL_WC1_s1x import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.stages.depth = 101
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-101.pkl"
