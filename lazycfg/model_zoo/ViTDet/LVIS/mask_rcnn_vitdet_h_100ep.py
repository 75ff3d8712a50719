"""Mask R-CNN, ViT-H pretrained by MAE, 100 epochs of LVIS v1 (the reference: box AP 49.1, mask AP 46.0)."""

from ...common.models.federated import with_federated_loss
from ..mask_rcnn_vitdet_h_75ep import model, optimizer
from ..mask_rcnn_vitdet_h_75ep import train as _coco
from .mask_rcnn_vitdet_b_100ep import dataloader, lr_multiplier, train

model = with_federated_loss(model)
model.backbone.net.drop_path_rate = 0.4
train.init_checkpoint = _coco.init_checkpoint
