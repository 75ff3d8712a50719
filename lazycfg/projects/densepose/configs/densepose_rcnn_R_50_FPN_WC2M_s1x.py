"""DensePose, ResNet-50-FPN, confidences of coordinates and masks (anisotropic).

The reference published box AP 60.7, segm 66.9, GPS 64.2, GPSm 65.5.
"""

from .common.variants import use_confidences
from .densepose_rcnn_R_50_FPN_s1x import dataloader, lr_multiplier, model, optimizer, train

use_confidences(model, train, uv_type="indep_aniso", segm=True)
lr_multiplier.warmup_factor = 0.025
