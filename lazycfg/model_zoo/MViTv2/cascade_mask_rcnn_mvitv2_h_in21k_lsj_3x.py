"""Cascade Mask R-CNN, MViTv2-H-FPN pretrained on ImageNet-21k, 36 COCO epochs with large-scale jitter.

The reference published box AP 56.1, mask AP 48.5.
"""

from ..common.data.coco_lsj import dataloader
from ..common.models.mvitv2 import mvitv2_h
from .cascade_mask_rcnn_mvitv2_t_3x import lr_multiplier, model, optimizer, train

model.backbone.bottom_up = mvitv2_h
del mvitv2_h

# Padded to 1024x1024 in training; tested on images of the usual size.
dataloader.train.mapper.augmentations[-1].pad = True
dataloader.test.mapper.augmentations[0].update(short_edge_length=800, max_size=1333)

train.init_checkpoint = "detectron2://ImageNetPretrained/mvitv2/MViTv2_H_in21k.pyth"
