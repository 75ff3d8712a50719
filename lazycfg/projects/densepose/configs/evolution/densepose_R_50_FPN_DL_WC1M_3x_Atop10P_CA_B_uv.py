"""DensePose for chimpanzees, trained further on predictions for videos: points drawn where there are the
most confident coordinates.

The reference published box AP 61.4, segm 58.9, GPS 22.2 (APex 38.3), GPSm 32.1.
"""

from .densepose_R_50_FPN_DL_WC1M_3x_Atop10P_CA_B_uniform import (
    dataloader,
    lr_multiplier,
    model,
    optimizer,
    train,
)

dataloader.train.others[0].point_sampler.confidence = "sigma_2"
