"""Mask R-CNN, ResNet-50-FPN, group normalisation, from random weights (arXiv:1811.08883), 3x schedule.

The reference published box AP 39.9, mask AP 36.6.
"""

from .mask_rcnn_R_50_FPN_3x_gn import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.freeze_at = 0
train.init_checkpoint = ""
