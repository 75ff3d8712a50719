"""Faster R-CNN, ResNet-50-C4, 3x schedule (the reference published box AP 38.4)."""

from ..common.schedules import lr_multiplier_3x as lr_multiplier
from .faster_rcnn_R_50_C4_1x import dataloader, model, optimizer, train

train.max_iter = 270000
