"""Cascade Mask R-CNN, MViTv2-L-FPN pretrained on ImageNet-21k, 50 COCO epochs with large-scale jitter.

The reference published box AP 55.8, mask AP 48.3.
"""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.solver import MultiStepParamScheduler, WarmupParamScheduler

from ..common.models.mvitv2 import mvitv2_l
from .cascade_mask_rcnn_mvitv2_h_in21k_lsj_3x import dataloader, model, optimizer, train

model.backbone.bottom_up = mvitv2_l
del mvitv2_l

train.max_iter = 92187  # 50 epochs of 64 images
train.init_checkpoint = "detectron2://ImageNetPretrained/mvitv2/MViTv2_L_in21k.pyth"

lr_multiplier: Any = L(WarmupParamScheduler)(
    scheduler=L(MultiStepParamScheduler)(
        [1.0, 0.1, 0.01], milestones=[81944, 88773], num_updates=train.max_iter
    ),
    warmup_length=250 / train.max_iter,
    warmup_factor=0.001,
)

optimizer.lr = 1e-4
