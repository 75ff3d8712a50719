"""Mask R-CNN, ResNet-50-FPN, group normalisation, from random weights, 9x schedule in batches of 64.

The reference published box AP 43.7, mask AP 39.6.
"""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.solver import MultiStepParamScheduler, WarmupParamScheduler

from .scratch_mask_rcnn_R_50_FPN_3x_gn import dataloader, model, optimizer, train

model.pixel_std = [57.375, 57.120, 58.395]
dataloader.train.total_batch_size = 64
optimizer.lr = 0.08
train.eval_period = 2500
train.max_iter = 202500  # nine times 90,000 steps, with four times the batch

lr_multiplier: Any = L(WarmupParamScheduler)(
    scheduler=L(MultiStepParamScheduler)(
        [1.0, 0.1, 0.01], milestones=[187500, 197500], num_updates=train.max_iter
    ),
    warmup_factor=0.001,
    warmup_length=1000 / train.max_iter,
    warmup_method="linear",
)
