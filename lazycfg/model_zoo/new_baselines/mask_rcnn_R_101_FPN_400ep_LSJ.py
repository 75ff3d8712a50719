"""Mask R-CNN, ResNet-101-FPN, from random weights with large-scale jitter, 400 epochs.

The reference published box AP 48.9, mask AP 43.7.
"""

from .mask_rcnn_R_101_FPN_100ep_LSJ import dataloader, lr_multiplier, model, optimizer, train

train.max_iter *= 4  # the schedule of the learning rate stretches with it
