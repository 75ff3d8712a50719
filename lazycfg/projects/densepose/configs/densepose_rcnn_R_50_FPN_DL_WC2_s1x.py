"""DensePose, ResNet-50-FPN, head of DeepLab, confidences (anisotropic).

The reference published box AP 60.8, segm 67.9, GPS 65.6, GPSm 66.7.
"""

from .common.variants import use_confidences
from .densepose_rcnn_R_50_FPN_DL_s1x import dataloader, lr_multiplier, model, optimizer, train

use_confidences(model, train, uv_type="indep_aniso")
