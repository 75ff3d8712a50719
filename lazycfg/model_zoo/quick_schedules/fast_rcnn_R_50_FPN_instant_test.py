"""Fast R-CNN, ResNet-50-FPN: forty steps on 100 images of COCO and published proposals."""

from typing import Any

from ..common.data.coco_proposals import dataloader
from ..common.models.fast_rcnn_fpn import model
from ..common.optim import SGD as optimizer
from ..common.quick import on_coco_val_100
from ..common.schedules import warmup_multi_step
from ..common.train import train

on_coco_val_100(dataloader, train, weights="detectron2://ImageNetPretrained/MSRA/R-50.pkl")
dataloader.train.update(dataset=dataloader.test.dataset.copy(), total_batch_size=4)
model.backbone.bottom_up.freeze_at = 2
optimizer.lr = 0.005
train.update(output_dir="./output/fast_rcnn_R_50_FPN_instant_test", max_iter=40, eval_period=0)
lr_multiplier: Any = warmup_multi_step((0.75,), warmup_length=0.25)
