"""Cascade Mask R-CNN, MViTv2-H pretrained on ImageNet-21k, 36 COCO epochs, a baseline of ViTDet.

See arXiv:2203.16527. The reference published box AP 55.9, mask AP 48.3.
"""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.solver import MultiStepParamScheduler, WarmupParamScheduler

from ..common.models.mvitv2 import mvitv2_h
from .cascade_mask_rcnn_mvitv2_b_in21k_100ep import dataloader, model, optimizer, train

model.backbone.bottom_up = mvitv2_h
del mvitv2_h
train.init_checkpoint = "detectron2://ImageNetPretrained/mvitv2/MViTv2_H_in21k.pyth"
train.max_iter = 67500

lr_multiplier: Any = L(WarmupParamScheduler)(
    scheduler=L(MultiStepParamScheduler)(
        [1.0, 0.1, 0.01], milestones=[52500, 62500], num_updates=train.max_iter
    ),
    warmup_length=250 / train.max_iter,
    warmup_factor=0.001,
)

optimizer.lr = 1.6e-4
