"""The config of this name without "dsconv", with depthwise separable convolutions in both heads."""

from .panoptic_deeplab_R_52_os16_mg124_poly_90k_bs32_crop_512_1024 import (
    dataloader,
    lr_multiplier,
    model,
    optimizer,
    train,
)

model.sem_seg_head.use_depthwise_separable_conv = True  # the other head's follows
