"""Fast R-CNN on precomputed proposals, ResNet-50-FPN, 1x schedule (the reference published box AP 37.8)."""

from ..common.data.coco_proposals import dataloader
from ..common.models.fast_rcnn_fpn import model
from ..common.optim import SGD as optimizer
from ..common.schedules import lr_multiplier_1x as lr_multiplier
from ..common.train import train

model.backbone.bottom_up.freeze_at = 2
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-50.pkl"
