"""Cascade Mask R-CNN, MViTv2-B pretrained on ImageNet-21k, 100 epochs of LVIS v1, a baseline of ViTDet.

See arXiv:2203.16527. The reference published box AP 46.3, mask AP 42.0.
"""

from ...common.models.federated import with_federated_loss
from ..cascade_mask_rcnn_mvitv2_b_in21k_100ep import model, optimizer
from ..cascade_mask_rcnn_mvitv2_b_in21k_100ep import train as _coco
from .mask_rcnn_vitdet_b_100ep import dataloader, lr_multiplier, train

model = with_federated_loss(model)
train.init_checkpoint = _coco.init_checkpoint
optimizer.lr = 1e-4
