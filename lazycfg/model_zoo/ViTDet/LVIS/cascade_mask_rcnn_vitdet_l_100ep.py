"""Cascade Mask R-CNN, ViT-L pretrained by MAE, 100 epochs of LVIS v1.

See arXiv:2203.16527. The reference published box AP 49.2, mask AP 44.5.
"""

from ...common.models.federated import with_federated_loss
from ..cascade_mask_rcnn_vitdet_l_100ep import model
from .mask_rcnn_vitdet_l_100ep import dataloader, lr_multiplier, optimizer, train

model = with_federated_loss(model)
