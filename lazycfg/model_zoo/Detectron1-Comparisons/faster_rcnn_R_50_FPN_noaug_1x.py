"""Faster R-CNN, ResNet-50-FPN, as Detectron: one image size, its regions and losses, 1x schedule.

The reference published box AP 36.9.
"""

from ..common.data.coco import dataloader
from ..common.models.detectron1 import as_in_detectron1
from ..common.models.faster_rcnn_fpn import model
from ..common.optim import SGD as optimizer
from ..common.schedules import lr_multiplier_1x as lr_multiplier
from ..common.train import train

as_in_detectron1(model)
model.backbone.bottom_up.freeze_at = 2
dataloader.train.mapper.use_instance_mask = False
dataloader.train.mapper.augmentations[0].short_edge_length = 800
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-50.pkl"
