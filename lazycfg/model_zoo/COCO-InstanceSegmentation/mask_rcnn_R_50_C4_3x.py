"""Mask R-CNN, ResNet-50-C4, 3x schedule (the reference published box AP 39.8, mask AP 34.4)."""

from ..common.schedules import lr_multiplier_3x as lr_multiplier
from .mask_rcnn_R_50_C4_1x import dataloader, model, optimizer, train

train.max_iter = 270000
