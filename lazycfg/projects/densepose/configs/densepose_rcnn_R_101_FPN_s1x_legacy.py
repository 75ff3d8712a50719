"""DensePose, ResNet-101-FPN, the first form.

The reference published box AP 59.5, segm 59.3, GPS 53.2, GPSm 56.0.
"""

from .densepose_rcnn_R_50_FPN_s1x_legacy import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.stages.depth = 101
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-101.pkl"
