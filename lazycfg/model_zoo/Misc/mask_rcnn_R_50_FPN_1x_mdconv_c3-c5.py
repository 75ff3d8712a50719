"""Mask R-CNN with modulated deformable convolutions (arXiv:1811.11168), 1x schedule."""

from ..common.data.coco import dataloader
from ..common.models.mask_rcnn_fpn_dconv import model
from ..common.optim import SGD as optimizer
from ..common.schedules import lr_multiplier_1x as lr_multiplier
from ..common.train import train

dataloader.train.mapper.use_instance_mask = True
model.backbone.bottom_up.freeze_at = 2
model.backbone.bottom_up.stages.deform_modulated = True
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-50.pkl"
