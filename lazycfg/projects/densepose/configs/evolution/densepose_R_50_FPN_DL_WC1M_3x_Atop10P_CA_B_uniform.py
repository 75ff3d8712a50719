"""DensePose for chimpanzees, trained further on predictions of the first model for videos: points drawn
uniformly.

The reference published box AP 60.9, segm 58.5, GPS 21.5 (APex 37.2), GPSm 31.0.
"""

from ..common.chimp_videos import train_on_videos
from .densepose_R_50_FPN_DL_WC1M_3x_Atop10P_CA import dataloader, lr_multiplier, model, optimizer, train

train_on_videos(dataloader, teacher=model)
model.roi_heads.densepose_losses.w_segm = 5.0
lr_multiplier.warmup_factor = 0.001
# The published model of densepose_R_50_FPN_DL_WC1M_3x_Atop10P_CA: the teacher, too
train.init_checkpoint = "DensePose/evolution/densepose_R_50_FPN_DL_WC1M_3x_Atop10P_CA"
