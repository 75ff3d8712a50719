"""Surface embeddings, ResNet-101-FPN.

The reference published box AP 62.3, segm 67.2, GPS 64.7, GPSm 65.8.
"""

from .densepose_rcnn_R_50_FPN_s1x import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.stages.depth = 101
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-101.pkl"
