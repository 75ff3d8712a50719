"""Cascade Mask R-CNN, Swin-B pretrained on ImageNet-21k, 50 COCO epochs, a baseline of ViTDet.

See arXiv:2203.16527. The reference published box AP 53.9, mask AP 46.2.
"""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.solver import MultiStepParamScheduler, WarmupParamScheduler

from ..common.data.coco_lsj import dataloader
from ..common.data.constants import constants
from ..common.models.cascade_rcnn import model
from ..common.models.swin import swin_b
from ..common.optim import AdamW as optimizer
from ..common.train import train

model.update(
    pixel_mean=constants["imagenet_rgb256_mean"],
    pixel_std=constants["imagenet_rgb256_std"],
    input_format="RGB",
)
model.backbone.update(bottom_up=swin_b, in_features=("p0", "p1", "p2", "p3"), norm="LN", square_pad=1024)
model.proposal_generator.head.conv_dims = [-1, -1]
for _head in model.roi_heads.box_heads:
    _head.update(conv_dims=[256, 256, 256, 256], fc_dims=[1024], conv_norm="LN")
model.roi_heads.mask_head.conv_norm = "LN"
del constants, swin_b

train.amp.enabled = True
train.ddp.fp16_compression = True
train.init_checkpoint = "detectron2://ImageNetPretrained/swin/swin_base_patch4_window7_224_22k.pth"
train.max_iter = 92187  # 50 epochs of 118,000 pictures by 64

lr_multiplier: Any = L(WarmupParamScheduler)(
    scheduler=L(MultiStepParamScheduler)(
        [1.0, 0.1, 0.01], milestones=[81944, 88773], num_updates=train.max_iter
    ),
    warmup_length=125 / train.max_iter,  # 250 steps of the schedule of 100 epochs
    warmup_factor=0.001,
)

optimizer.lr = 4e-5
optimizer.weight_decay = 0.05
optimizer.params.overrides = {"relative_position_bias_table": {"weight_decay": 0.0}}
