"""Faster R-CNN, ResNet-50-DC5, 3x schedule (the reference published box AP 39.0)."""

from ..common.schedules import lr_multiplier_3x as lr_multiplier
from .faster_rcnn_R_50_DC5_1x import dataloader, model, optimizer, train

train.max_iter = 270000
