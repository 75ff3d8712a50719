"""Surface embeddings, ResNet-101-FPN, soft loss.

The reference published box AP 62.1, segm 67.3, GPS 64.5, GPSm 66.0.
"""

from .densepose_rcnn_R_50_FPN_soft_s1x import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.stages.depth = 101
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-101.pkl"
