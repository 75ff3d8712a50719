"""Mask R-CNN, ResNet-101-FPN, from random weights with large-scale jitter, 100 epochs.

The reference published box AP 46.4, mask AP 41.6.
"""

from .mask_rcnn_R_50_FPN_100ep_LSJ import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.stages.depth = 101
