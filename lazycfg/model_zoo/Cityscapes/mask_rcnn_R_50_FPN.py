"""Mask R-CNN, ResNet-50-FPN, Cityscapes, from COCO weights (the reference published mask AP 36.5)."""

from typing import Any

from ..common.data.cityscapes_instance_seg import dataloader
from ..common.models.mask_rcnn_fpn import model
from ..common.optim import SGD as optimizer
from ..common.schedules import warmup_multi_step
from ..common.train import train

model.backbone.bottom_up.freeze_at = 2
model.roi_heads.num_classes = 8

optimizer.lr = 0.01
train.update(max_iter=24000, eval_period=8000)
lr_multiplier: Any = warmup_multi_step((18000 / 24000,), warmup_length=1000 / 24000)

# COCO has other classes: what tells them apart begins anew.
train.init_checkpoint = "COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x"
train.init_ignore = ["roi_heads.box_predictor.*", "roi_heads.mask_head.predictor.*"]
