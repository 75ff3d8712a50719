"""Mask R-CNN, RegNetY-4GF-FPN, from random weights with large-scale jitter, 200 epochs.

The reference published box AP 47.8, mask AP 43.0.
"""

from .mask_rcnn_regnety_4gf_dds_FPN_100ep_LSJ import dataloader, lr_multiplier, model, optimizer, train

train.max_iter *= 2  # the schedule of the learning rate stretches with it
