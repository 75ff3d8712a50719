"""Mask R-CNN with batch normalisation in its heads, ResNet-50-FPN, 3x (arXiv:2105.07576, table 3)."""

from lazycfg.model_zoo.common.data.coco import dataloader
from lazycfg.model_zoo.common.models.mask_rcnn_fpn import model
from lazycfg.model_zoo.common.optim import SGD as optimizer
from lazycfg.model_zoo.common.schedules import lr_multiplier_3x as lr_multiplier
from lazycfg.model_zoo.common.train import train

model.backbone.bottom_up.freeze_at = 2
model.roi_heads.box_head.update(conv_dims=[256, 256, 256, 256], fc_dims=[1024], conv_norm="BN")
model.roi_heads.mask_head.conv_norm = "BN"

train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-50.pkl"
train.max_iter = 270000
