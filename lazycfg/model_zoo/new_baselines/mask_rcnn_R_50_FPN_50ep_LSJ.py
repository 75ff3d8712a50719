"""Mask R-CNN, ResNet-50-FPN, from random weights with large-scale jitter, 50 epochs."""

from .mask_rcnn_R_50_FPN_100ep_LSJ import dataloader, lr_multiplier, model, optimizer, train

train.max_iter //= 2  # the schedule of the learning rate stretches with it
