"""Mask R-CNN, ResNet-50-FPN, one box and one mask of each region for all classes, 1x schedule."""

from ..common.data.coco import dataloader
from ..common.models.mask_rcnn_fpn import model
from ..common.optim import SGD as optimizer
from ..common.schedules import lr_multiplier_1x as lr_multiplier
from ..common.train import train

dataloader.train.mapper.use_instance_mask = True
model.backbone.bottom_up.freeze_at = 2
model.roi_heads.box_predictor.cls_agnostic_bbox_reg = True
model.roi_heads.mask_head.num_classes = 1
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-50.pkl"
