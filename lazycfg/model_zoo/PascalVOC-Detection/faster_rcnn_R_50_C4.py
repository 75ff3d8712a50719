"""Faster R-CNN, ResNet-50-C4, Pascal VOC 2007 and 2012, 18,000 steps.

The reference published box AP 51.9, box AP50 80.3.
"""

from typing import Any

from ..common.data.voc import dataloader
from ..common.models.faster_rcnn_c4 import model
from ..common.optim import SGD as optimizer
from ..common.schedules import warmup_multi_step
from ..common.train import train

model.backbone.freeze_at = 2
model.roi_heads.num_classes = 20
lr_multiplier: Any = warmup_multi_step((12000 / 18000, 16000 / 18000), warmup_length=100 / 18000)
train.update(max_iter=18000, eval_period=0, init_checkpoint="detectron2://ImageNetPretrained/MSRA/R-50.pkl")
