"""Surface embeddings, ResNet-101-FPN, head of DeepLab.

The reference published box AP 61.5, segm 68.0, GPS 65.6, GPSm 66.6.
"""

from .densepose_rcnn_R_50_FPN_DL_s1x import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.stages.depth = 101
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-101.pkl"
