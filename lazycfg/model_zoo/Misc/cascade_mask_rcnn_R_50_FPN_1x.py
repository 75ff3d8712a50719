"""Cascade Mask R-CNN, ResNet-50-FPN, 1x schedule (the reference published box AP 42.1, mask AP 36.4)."""

from ..common.data.coco import dataloader
from ..common.models.cascade_rcnn import model
from ..common.optim import SGD as optimizer
from ..common.schedules import lr_multiplier_1x as lr_multiplier
from ..common.train import train

dataloader.train.mapper.use_instance_mask = True
model.backbone.bottom_up.freeze_at = 2
model.proposal_generator.post_nms_topk = (2000, 1000)
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-50.pkl"
