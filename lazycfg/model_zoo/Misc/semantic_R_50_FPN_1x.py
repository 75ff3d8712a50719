"""Semantic segmentation of COCO's stuff, ResNet-50-FPN, 1x schedule."""

from ..common.data.coco_panoptic_stuffonly import dataloader
from ..common.models.semantic_fpn import model
from ..common.optim import SGD as optimizer
from ..common.schedules import lr_multiplier_1x as lr_multiplier
from ..common.train import train

model.backbone.bottom_up.freeze_at = 2
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-50.pkl"
