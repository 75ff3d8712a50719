"""Keypoint R-CNN, ResNet-50-FPN, as Detectron: its regions and losses, 1x schedule.

The reference published box AP 53.1, keypoint AP 64.2.
"""

from ..common.data.coco_keypoint import dataloader
from ..common.models.detectron1 import as_in_detectron1
from ..common.models.keypoint_rcnn_fpn import model
from ..common.optim import SGD as optimizer
from ..common.schedules import lr_multiplier_1x as lr_multiplier
from ..common.train import train

as_in_detectron1(model)
model.backbone.bottom_up.freeze_at = 2
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-50.pkl"
