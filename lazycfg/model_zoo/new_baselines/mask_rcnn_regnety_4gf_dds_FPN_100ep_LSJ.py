"""Mask R-CNN, RegNetY-4GF-FPN, from random weights with large-scale jitter, 100 epochs.

The reference published box AP 46.1, mask AP 41.6.
"""

from ..common.models.regnet import regnety_4gf
from .mask_rcnn_R_50_FPN_100ep_LSJ import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up = regnety_4gf
model.backbone.bottom_up.norm = "SyncBN"
model.pixel_std = [57.375, 57.120, 58.395]
del regnety_4gf
train.cudnn_benchmark = True
