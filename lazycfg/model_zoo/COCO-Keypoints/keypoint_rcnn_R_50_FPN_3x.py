"""Keypoint R-CNN, ResNet-50-FPN, 3x schedule (the reference published box AP 55.4, keypoint AP 65.5)."""

from ..common.schedules import lr_multiplier_3x as lr_multiplier
from .keypoint_rcnn_R_50_FPN_1x import dataloader, model, optimizer, train

train.max_iter = 270000
