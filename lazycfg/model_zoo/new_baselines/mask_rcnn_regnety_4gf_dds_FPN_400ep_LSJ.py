"""Mask R-CNN, RegNetY-4GF-FPN, from random weights with large-scale jitter, 400 epochs.

The reference published box AP 48.2, mask AP 43.3.
"""

from .mask_rcnn_regnety_4gf_dds_FPN_100ep_LSJ import dataloader, lr_multiplier, model, optimizer, train

train.max_iter *= 4  # the schedule of the learning rate stretches with it
