"""Mask R-CNN, RegNetY-4GF-FPN, 1x schedule (12 COCO epochs)."""

from ..common.data.coco import dataloader
from ..common.models.mask_rcnn_fpn import model
from ..common.models.regnet import regnety_4gf
from ..common.optim import SGD as optimizer
from ..common.schedules import lr_multiplier_1x as lr_multiplier
from ..common.train import train

model.backbone.bottom_up = regnety_4gf
model.backbone.bottom_up.freeze_at = 2
model.pixel_std = [57.375, 57.120, 58.395]
del regnety_4gf

dataloader.train.mapper.use_instance_mask = True
optimizer.weight_decay = 5e-5
train.init_checkpoint = (
    "https://dl.fbaipublicfiles.com/pycls/dds_baselines/160906838/RegNetY-4.0GF_dds_8gpu.pyth"
)
