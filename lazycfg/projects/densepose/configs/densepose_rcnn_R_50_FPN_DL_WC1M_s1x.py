"""DensePose, ResNet-50-FPN, head of DeepLab, confidences of coordinates and masks (isotropic).

The reference published box AP 60.7, segm 68.0, GPS 65.2, GPSm 66.7.
"""

from .common.variants import use_confidences
from .densepose_rcnn_R_50_FPN_DL_s1x import dataloader, lr_multiplier, model, optimizer, train

use_confidences(model, train, uv_type="iid_iso", segm=True)
