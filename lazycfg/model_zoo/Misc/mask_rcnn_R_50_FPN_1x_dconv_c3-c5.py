"""Mask R-CNN with deformable convolutions, 1x schedule (the reference: box AP 41.5, mask AP 37.5)."""

from ..common.data.coco import dataloader
from ..common.models.mask_rcnn_fpn_dconv import model
from ..common.optim import SGD as optimizer
from ..common.schedules import lr_multiplier_1x as lr_multiplier
from ..common.train import train

dataloader.train.mapper.use_instance_mask = True
model.backbone.bottom_up.freeze_at = 2
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-50.pkl"
