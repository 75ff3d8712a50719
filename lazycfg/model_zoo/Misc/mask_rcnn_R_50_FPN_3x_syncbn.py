"""Mask R-CNN, ResNet-50-FPN, statistics over all processes, 3x (the reference: box AP 41.9, mask AP 37.8)."""

from ..common.data.coco import dataloader
from ..common.models.mask_rcnn_fpn_syncbn import model
from ..common.optim import SGD as optimizer
from ..common.precise_bn import precise_bn
from ..common.schedules import lr_multiplier_3x as lr_multiplier
from ..common.train import train

dataloader.train.mapper.use_instance_mask = True
model.backbone.bottom_up.freeze_at = 2
model.backbone.bottom_up.stages.stride_in_1x1 = True
train.max_iter = 270000
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-50.pkl"
train.hooks = [precise_bn()]
