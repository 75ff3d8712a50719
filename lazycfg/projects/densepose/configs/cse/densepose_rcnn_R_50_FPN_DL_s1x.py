"""Surface embeddings, ResNet-50-FPN, head of DeepLab.

The reference published box AP 60.8, segm 67.8, GPS 65.5, GPSm 66.4.
"""

from ..common.variants import use_deeplab_head
from .densepose_rcnn_R_50_FPN_s1x import dataloader, lr_multiplier, model, optimizer, train

use_deeplab_head(model)
