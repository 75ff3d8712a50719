"""Cascade Mask R-CNN, ViT-L pretrained by MAE, 100 epochs (the reference: box AP 57.6, mask AP 50.0)."""

from ..common.models.cascade_rcnn import model as cascade
from .mask_rcnn_vitdet_l_100ep import dataloader, lr_multiplier, model, optimizer, train

model.roi_heads = cascade.roi_heads
for _head in model.roi_heads.box_heads:
    _head.update(conv_dims=[256, 256, 256, 256], fc_dims=[1024], conv_norm="LN")
model.roi_heads.mask_head.conv_norm = "LN"
del cascade
