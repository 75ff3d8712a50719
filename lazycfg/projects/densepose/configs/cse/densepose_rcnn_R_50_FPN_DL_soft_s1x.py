"""Surface embeddings, ResNet-50-FPN, head of DeepLab, soft loss.

The reference published box AP 60.8, segm 68.0, GPS 66.1, GPSm 66.7.
"""

from ..common.densepose_cse_fpn import use_soft_loss
from .densepose_rcnn_R_50_FPN_DL_s1x import dataloader, lr_multiplier, model, optimizer, train

use_soft_loss(model)
