"""Surface embeddings, ResNet-101-FPN, head of DeepLab, soft loss.

The reference published box AP 61.5, segm 68.2, GPS 66.2, GPSm 67.1.
"""

from .densepose_rcnn_R_50_FPN_DL_soft_s1x import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.stages.depth = 101
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-101.pkl"
