"""Cascade Mask R-CNN, ViT-H pretrained by MAE, 75 epochs (the reference: box AP 58.7, mask AP 51.0)."""

from ..common.models.cascade_rcnn import model as cascade
from .mask_rcnn_vitdet_h_75ep import dataloader, lr_multiplier, model, optimizer, train

model.roi_heads = cascade.roi_heads
for _head in model.roi_heads.box_heads:
    _head.update(conv_dims=[256, 256, 256, 256], fc_dims=[1024], conv_norm="LN")
model.roi_heads.mask_head.conv_norm = "LN"
del cascade
