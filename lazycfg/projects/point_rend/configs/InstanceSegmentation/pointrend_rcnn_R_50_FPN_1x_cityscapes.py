"""PointRend, ResNet-50-FPN, Cityscapes (the reference published mask AP 35.9)."""

from lazycfg import LazyCall as L
from lazycfg.model_zoo.common.data.cityscapes_instance_seg import dataloader
from lazycfg.model_zoo.common.optim import SGD as optimizer
from lazycfg.model_zoo.common.train import train
from lazycfg.solver import MultiStepParamScheduler, WarmupParamScheduler

from ..common.pointrend_rcnn_fpn import model

dataloader.train.mapper.instance_mask_format = "bitmask"
model.backbone.bottom_up.freeze_at = 2
model.roi_heads.num_classes = 8

optimizer.lr = 0.01
lr_multiplier = L(WarmupParamScheduler)(
    scheduler=L(MultiStepParamScheduler)([1.0, 0.1], milestones=[18000], num_updates=24000),
    warmup_factor=0.001,
    warmup_length=1000 / 24000,
    warmup_method="linear",
)
train.update(max_iter=24000, init_checkpoint="detectron2://ImageNetPretrained/MSRA/R-50.pkl")
