"""Implicit PointRend trained on five of the ten points of each object, drawn anew each time."""

from lazycfg.projects.point_sup import ImplicitPointRendPointSupHead

from ...point_rend.configs.InstanceSegmentation.implicit_pointrend_R_50_FPN_3x_coco import (
    lr_multiplier,
    model,
    optimizer,
    train,
)
from .common.coco_points import dataloader

model.roi_heads.mask_head._target_ = ImplicitPointRendPointSupHead
dataloader.train.mapper.sample_points = 5
