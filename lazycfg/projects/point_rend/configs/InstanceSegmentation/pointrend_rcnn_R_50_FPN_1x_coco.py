"""PointRend, ResNet-50-FPN, 1x schedule (the reference published mask AP 36.2)."""

from lazycfg.model_zoo.common.data.coco import dataloader
from lazycfg.model_zoo.common.optim import SGD as optimizer
from lazycfg.model_zoo.common.schedules import lr_multiplier_1x as lr_multiplier
from lazycfg.model_zoo.common.train import train

from ..common.pointrend_rcnn_fpn import model

dataloader.train.mapper.update(use_instance_mask=True, instance_mask_format="bitmask")
model.backbone.bottom_up.freeze_at = 2
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-50.pkl"
