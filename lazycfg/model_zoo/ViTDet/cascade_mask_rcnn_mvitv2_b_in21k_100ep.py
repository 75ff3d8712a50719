"""Cascade Mask R-CNN, MViTv2-B pretrained on ImageNet-21k, 100 COCO epochs, a baseline of ViTDet.

See arXiv:2203.16527. The reference published box AP 55.6, mask AP 48.1.
"""

from lazycfg import ref

from ..common.models.mvitv2 import mvitv2_b
from .cascade_mask_rcnn_swin_b_in21k_50ep import dataloader, model, optimizer
from .mask_rcnn_vitdet_b_100ep import lr_multiplier, train

model.backbone.update(bottom_up=mvitv2_b, in_features=ref(".bottom_up.out_features"))
del mvitv2_b

train.init_checkpoint = "detectron2://ImageNetPretrained/mvitv2/MViTv2_B_in21k.pyth"

optimizer.update(lr=8e-5, weight_decay=0.1)
optimizer.params.overrides = {}  # MViTv2 has no absolute position embedding to leave out of the decay
