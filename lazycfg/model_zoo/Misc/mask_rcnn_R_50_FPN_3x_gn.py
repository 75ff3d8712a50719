"""Mask R-CNN, ResNet-50-FPN, group norm, 3x schedule (the reference: box AP 42.6, mask AP 38.6)."""

from ..common.data.coco import dataloader
from ..common.models.mask_rcnn_fpn_gn import model
from ..common.optim import SGD as optimizer
from ..common.schedules import lr_multiplier_3x as lr_multiplier
from ..common.train import train

dataloader.train.mapper.use_instance_mask = True
model.backbone.bottom_up.freeze_at = 2
train.max_iter = 270000
train.init_checkpoint = "detectron2://ImageNetPretrained/FAIR/R-50-GN.pkl"
