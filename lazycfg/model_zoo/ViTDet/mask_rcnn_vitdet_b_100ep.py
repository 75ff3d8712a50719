"""Mask R-CNN, ViT-B pretrained by MAE, 100 COCO epochs (the reference: box AP 51.6, mask AP 45.9).

Optimizer and schedule follow appendix A of the paper, arXiv:2203.16527.
"""

from functools import partial
from typing import Any

from lazycfg import LazyCall as L
from lazycfg.modeling import get_vit_lr_decay_rate
from lazycfg.solver import MultiStepParamScheduler, WarmupParamScheduler

from ..common.data.coco_lsj import dataloader
from ..common.models.mask_rcnn_vitdet import model
from ..common.optim import AdamW as optimizer
from ..common.train import train

train.amp.enabled = True
train.ddp.fp16_compression = True
train.init_checkpoint = "detectron2://ImageNetPretrained/MAE/mae_pretrain_vit_base.pth"
train.max_iter = 184375  # 100 epochs of 118,000 pictures by 64

lr_multiplier: Any = L(WarmupParamScheduler)(
    scheduler=L(MultiStepParamScheduler)(
        [1.0, 0.1, 0.01], milestones=[163889, 177546], num_updates=train.max_iter
    ),
    warmup_length=250 / train.max_iter,
    warmup_factor=0.001,
)

optimizer.params.lr_factor_func = partial(get_vit_lr_decay_rate, num_layers=12, lr_decay_rate=0.7)
optimizer.params.overrides = {"pos_embed": {"weight_decay": 0.0}}
