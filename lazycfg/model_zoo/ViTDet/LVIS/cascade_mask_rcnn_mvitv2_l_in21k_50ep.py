"""Cascade Mask R-CNN, MViTv2-L pretrained on ImageNet-21k, 50 epochs of LVIS v1, a baseline of ViTDet.

See arXiv:2203.16527. The reference published box AP 49.4, mask AP 44.2.
"""

from ...common.models.federated import with_federated_loss
from ..cascade_mask_rcnn_mvitv2_l_in21k_50ep import model, optimizer
from ..cascade_mask_rcnn_mvitv2_l_in21k_50ep import train as _coco
from .cascade_mask_rcnn_swin_b_in21k_50ep import dataloader, lr_multiplier, train

model = with_federated_loss(model)
train.init_checkpoint = _coco.init_checkpoint
optimizer.lr = 4e-5
