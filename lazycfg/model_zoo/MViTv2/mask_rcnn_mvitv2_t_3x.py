"""Mask R-CNN, MViTv2-T-FPN, 36 COCO epochs (the reference published box AP 48.3, mask AP 43.8).

Optimizer and schedule follow the paper, arXiv:2112.01526.
"""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.solver import MultiStepParamScheduler, WarmupParamScheduler

from ..common.data.coco_mvit import dataloader
from ..common.data.constants import constants
from ..common.models.mask_rcnn_fpn import model
from ..common.models.mvitv2 import mvitv2_t
from ..common.optim import AdamW as optimizer
from ..common.train import train

model.backbone.bottom_up = mvitv2_t
model.update(
    pixel_mean=constants["imagenet_rgb256_mean"],
    pixel_std=constants["imagenet_rgb256_std"],
    input_format="RGB",
)
del constants, mvitv2_t

train.amp.enabled = True
train.ddp.fp16_compression = True
train.init_checkpoint = "detectron2://ImageNetPretrained/mvitv2/MViTv2_T_in1k.pyth"
train.max_iter = 67500

lr_multiplier: Any = L(WarmupParamScheduler)(
    scheduler=L(MultiStepParamScheduler)(
        [1.0, 0.1, 0.01], milestones=[52500, 62500], num_updates=train.max_iter
    ),
    warmup_length=250 / train.max_iter,
    warmup_factor=0.001,
)

optimizer.lr = 1.6e-4
optimizer.params.overrides = {
    "rel_pos_h": {"weight_decay": 0.0},
    "rel_pos_w": {"weight_decay": 0.0},
}
