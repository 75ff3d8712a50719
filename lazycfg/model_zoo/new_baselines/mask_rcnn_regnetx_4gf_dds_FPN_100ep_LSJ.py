"""Mask R-CNN, RegNetX-4GF-FPN, from random weights with large-scale jitter, 100 epochs.

The reference published box AP 46.0, mask AP 41.3.
"""

from ..common.models.regnet import regnetx_4gf
from .mask_rcnn_R_50_FPN_100ep_LSJ import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up = regnetx_4gf
model.backbone.bottom_up.norm = "SyncBN"
model.pixel_std = [57.375, 57.120, 58.395]
del regnetx_4gf
train.cudnn_benchmark = True
