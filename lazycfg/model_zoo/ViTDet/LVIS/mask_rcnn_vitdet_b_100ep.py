"""Mask R-CNN, ViT-B pretrained by MAE, 100 epochs of LVIS v1 (the reference: box AP 40.2, mask AP 38.2)."""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.solver import MultiStepParamScheduler, WarmupParamScheduler

from ...common.data.lvis_v1_lsj import dataloader
from ...common.models.federated import with_federated_loss
from ..mask_rcnn_vitdet_b_100ep import model, optimizer, train

model = with_federated_loss(model)

train.max_iter = 156250  # 100 epochs of 100,000 images by 64
train.eval_period = 30000

lr_multiplier: Any = L(WarmupParamScheduler)(
    scheduler=L(MultiStepParamScheduler)(
        [1.0, 0.1, 0.01], milestones=[138889, 150463], num_updates=train.max_iter
    ),
    warmup_length=250 / train.max_iter,
    warmup_factor=0.001,
)

optimizer.lr = 2e-4
