"""Cascade Mask R-CNN, ViT-H pretrained by MAE, 100 epochs of LVIS v1.

See arXiv:2203.16527. The reference published box AP 51.5, mask AP 46.6.
"""

from ...common.models.federated import with_federated_loss
from ..cascade_mask_rcnn_vitdet_h_75ep import model
from .mask_rcnn_vitdet_h_100ep import dataloader, lr_multiplier, optimizer, train

model = with_federated_loss(model)
model.backbone.net.drop_path_rate = 0.4
