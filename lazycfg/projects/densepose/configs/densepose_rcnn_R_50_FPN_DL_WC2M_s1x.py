"""DensePose, ResNet-50-FPN, head of DeepLab, confidences of coordinates and masks (anisotropic).

The reference published box AP 60.8, segm 68.1, GPS 65.0, GPSm 66.4.
"""

from .common.variants import use_confidences
from .densepose_rcnn_R_50_FPN_DL_s1x import dataloader, lr_multiplier, model, optimizer, train

use_confidences(model, train, uv_type="indep_aniso", segm=True)
