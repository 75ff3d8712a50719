"""Cascade Mask R-CNN, Swin-B pretrained on ImageNet-21k, 50 epochs of LVIS v1, a baseline of ViTDet.

See arXiv:2203.16527. The reference published box AP 44.0, mask AP 39.6.
"""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.solver import MultiStepParamScheduler, WarmupParamScheduler

from ...common.data.lvis_v1_lsj import dataloader
from ...common.models.federated import with_federated_loss
from ..cascade_mask_rcnn_swin_b_in21k_50ep import model, optimizer, train

model = with_federated_loss(model)
model.backbone.bottom_up.drop_path_rate = 0.3

train.max_iter = 78125  # 50 epochs of 100,000 images by 64
train.eval_period = 30000

lr_multiplier: Any = L(WarmupParamScheduler)(
    scheduler=L(MultiStepParamScheduler)(
        [1.0, 0.1, 0.01], milestones=[69444, 75231], num_updates=train.max_iter
    ),
    warmup_length=250 / train.max_iter,
    warmup_factor=0.001,
)

optimizer.lr = 1e-4
