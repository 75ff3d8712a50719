"""Cascade Mask R-CNN, Swin-L pretrained on ImageNet-21k, 50 epochs of LVIS v1, a baseline of ViTDet.

See arXiv:2203.16527. The reference published box AP 46.0, mask AP 41.4.
"""

from ..cascade_mask_rcnn_swin_l_in21k_50ep import train as _coco
from .cascade_mask_rcnn_swin_b_in21k_50ep import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.update(embed_dim=192, num_heads=[6, 12, 24, 48])
train.init_checkpoint = _coco.init_checkpoint
