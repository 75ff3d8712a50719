"""DensePose for chimpanzees, trained further on predictions for videos: points drawn where there are the
most confident masks.

The reference published box AP 61.3, segm 59.2, GPS 21.5 (APex 37.9), GPSm 31.6.
"""

from .densepose_R_50_FPN_DL_WC1M_3x_Atop10P_CA_B_uniform import (
    dataloader,
    lr_multiplier,
    model,
    optimizer,
    train,
)

dataloader.train.others[0].point_sampler.confidence = "coarse_segm_confidence"
