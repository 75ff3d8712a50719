"""Mask R-CNN, ViT-L pretrained by MAE, 100 epochs of LVIS v1 (the reference: box AP 46.1, mask AP 43.6)."""

from ...common.models.federated import with_federated_loss
from ..mask_rcnn_vitdet_l_100ep import model, optimizer
from ..mask_rcnn_vitdet_l_100ep import train as _coco
from .mask_rcnn_vitdet_b_100ep import dataloader, lr_multiplier, train

model = with_federated_loss(model)
train.init_checkpoint = _coco.init_checkpoint
optimizer.lr = 2e-4
