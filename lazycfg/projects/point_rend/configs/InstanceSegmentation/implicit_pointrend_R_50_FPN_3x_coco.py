"""Implicit PointRend, ResNet-50-FPN, 3x schedule."""

from lazycfg.model_zoo.common.schedules import lr_multiplier_3x as lr_multiplier

from .implicit_pointrend_R_50_FPN_1x_coco import dataloader, model, optimizer, train

train.max_iter = 270000
