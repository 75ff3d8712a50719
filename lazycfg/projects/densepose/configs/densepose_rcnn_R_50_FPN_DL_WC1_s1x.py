"""DensePose, ResNet-50-FPN, head of DeepLab, confidences (isotropic).

The reference published box AP 61.1, segm 68.1, GPS 65.8, GPSm 67.0.
"""

from .common.variants import use_confidences
from .densepose_rcnn_R_50_FPN_DL_s1x import dataloader, lr_multiplier, model, optimizer, train

use_confidences(model, train, uv_type="iid_iso")
