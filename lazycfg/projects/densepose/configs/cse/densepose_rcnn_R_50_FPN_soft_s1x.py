"""Surface embeddings, ResNet-50-FPN, soft loss.

The reference published box AP 61.3, segm 66.9, GPS 64.3, GPSm 65.4.
"""

from ..common.densepose_cse_fpn import use_soft_loss
from .densepose_rcnn_R_50_FPN_s1x import dataloader, lr_multiplier, model, optimizer, train

use_soft_loss(model)
