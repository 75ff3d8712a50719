"""Mask R-CNN trained on ten points of each object, ResNet-50-FPN, 3x schedule."""

from lazycfg.model_zoo.common.models.mask_rcnn_fpn import model
from lazycfg.model_zoo.common.optim import SGD as optimizer
from lazycfg.model_zoo.common.schedules import lr_multiplier_3x as lr_multiplier
from lazycfg.model_zoo.common.train import train
from lazycfg.projects.point_sup import MaskRCNNConvUpsamplePointSupHead

from .common.coco_points import dataloader

model.roi_heads.mask_head._target_ = MaskRCNNConvUpsamplePointSupHead
model.backbone.bottom_up.freeze_at = 2
train.update(max_iter=270000, init_checkpoint="detectron2://ImageNetPretrained/MSRA/R-50.pkl")
