"""DensePose for chimpanzees, trained further on predictions for videos: points drawn where there are the
most confident parts.

The reference published box AP 60.9, segm 58.5, GPS 20.7 (APex 36.7), GPSm 30.7.
"""

from .densepose_R_50_FPN_DL_WC1M_3x_Atop10P_CA_B_uniform import (
    dataloader,
    lr_multiplier,
    model,
    optimizer,
    train,
)

dataloader.train.others[0].point_sampler.confidence = "fine_segm_confidence"
