"""DensePose, ResNet-101-FPN, confidences of coordinates and masks (isotropic).

The reference published box AP 62.0, segm 67.3, GPS 64.8, GPSm 66.0.
"""

from lazycfg import LazyCall as L
from lazycfg.solver import ClipGradValue

from .densepose_rcnn_R_50_FPN_WC1M_s1x import dataloader, lr_multiplier, model, optimizer, train

model.backbone.bottom_up.stages.depth = 101
train.clip_grad = L(ClipGradValue)(clip_value=1.0)
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-101.pkl"
