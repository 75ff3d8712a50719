"""DensePose, ResNet-50-FPN, confidences of coordinates and masks (isotropic).

The reference published box AP 60.6, segm 66.7, GPS 64.0, GPSm 65.4.
"""

from lazycfg import LazyCall as L
from lazycfg.solver import ClipGradNormPerParameter

from .common.variants import use_confidences
from .densepose_rcnn_R_50_FPN_s1x import dataloader, lr_multiplier, model, optimizer, train

use_confidences(model, train, uv_type="iid_iso", segm=True)
lr_multiplier.warmup_factor = 0.025
# By norm, where the other ones clip values
train.clip_grad = L(ClipGradNormPerParameter)(max_norm=100.0)
