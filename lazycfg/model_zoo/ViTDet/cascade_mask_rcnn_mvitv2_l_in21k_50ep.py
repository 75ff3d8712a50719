"""Cascade Mask R-CNN, MViTv2-L pretrained on ImageNet-21k, 50 COCO epochs, a baseline of ViTDet.

See arXiv:2203.16527. The reference published box AP 55.7, mask AP 48.3.
"""

from ..common.models.mvitv2 import mvitv2_l
from .cascade_mask_rcnn_mvitv2_b_in21k_100ep import dataloader, model, optimizer
from .cascade_mask_rcnn_swin_b_in21k_50ep import lr_multiplier, train

model.backbone.bottom_up = mvitv2_l
del mvitv2_l
train.init_checkpoint = "detectron2://ImageNetPretrained/mvitv2/MViTv2_L_in21k.pyth"
