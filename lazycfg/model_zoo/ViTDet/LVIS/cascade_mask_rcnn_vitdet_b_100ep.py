"""Cascade Mask R-CNN, ViT-B pretrained by MAE, 100 epochs of LVIS v1.

See arXiv:2203.16527. The reference published box AP 43.0, mask AP 38.9.
"""

from ...common.models.federated import with_federated_loss
from ..cascade_mask_rcnn_vitdet_b_100ep import model
from .mask_rcnn_vitdet_b_100ep import dataloader, lr_multiplier, optimizer, train

model = with_federated_loss(model)
