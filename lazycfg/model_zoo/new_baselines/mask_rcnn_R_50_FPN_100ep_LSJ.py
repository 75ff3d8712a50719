"""Mask R-CNN, ResNet-50-FPN, from random weights with large-scale jitter (arXiv:2012.07177), 100 epochs.

The reference published box AP 44.6, mask AP 40.3.
"""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.data import transforms as T
from lazycfg.solver import MultiStepParamScheduler, WarmupParamScheduler

from ..common.data.coco import dataloader
from ..common.models.mask_rcnn_fpn import model
from ..common.optim import SGD as optimizer
from ..common.train import train

model.backbone.norm = "SyncBN"
model.backbone.bottom_up.stem.norm = "SyncBN"
model.backbone.bottom_up.stages.norm = "SyncBN"
# Two hidden convolutions in the RPN; four, and one fully connected layer, in the box head. Statistics of the
# heads weigh each process by its number of regions: some may have none.
model.proposal_generator.head.conv_dims = [-1, -1]
model.roi_heads.box_head.update(conv_dims=[256] * 4, fc_dims=[1024], conv_norm="naiveSyncBN_N")
model.roi_heads.mask_head.conv_norm = "naiveSyncBN_N"

dataloader.train.mapper.update(
    augmentations=[
        L(T.ResizeScale)(min_scale=0.1, max_scale=2.0, target_height=1024, target_width=1024),
        L(T.FixedSizeCrop)(crop_size=(1024, 1024)),
        L(T.RandomFlip)(),
    ],
    recompute_boxes=True,
)
dataloader.train.total_batch_size = 64

optimizer.update(lr=0.1, weight_decay=4e-5)
train.max_iter = 184375  # 100 epochs of 118,000 pictures by 64
train.amp.enabled = True
train.ddp.fp16_compression = True

lr_multiplier: Any = L(WarmupParamScheduler)(
    scheduler=L(MultiStepParamScheduler)(
        [1.0, 0.1, 0.01], milestones=[163889, 177546], num_updates=train.max_iter
    ),
    warmup_factor=0.067,
    warmup_length=500 / train.max_iter,
    warmup_method="linear",
)
