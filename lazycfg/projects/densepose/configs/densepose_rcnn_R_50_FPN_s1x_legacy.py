"""DensePose, charts as at first, ResNet-50-FPN.

The reference published box AP 58.1, segm 58.2, GPS 52.1, GPSm 54.9.
"""

from .densepose_rcnn_R_50_FPN_s1x import dataloader, lr_multiplier, model, optimizer, train

heads = model.roi_heads
# Regions of all levels, and 14 coarse parts
heads.decoder = None
heads.densepose_pooler.update(output_size=14, scales=(1.0 / 4, 1.0 / 8, 1.0 / 16, 1.0 / 32))
heads.densepose_head.input_channels = 256
heads.densepose_predictor.num_coarse_segm_channels = 15
heads.densepose_losses.update(heatmap_size=56, w_points=0.1, w_part=0.3, w_segm=2.0)
del heads
optimizer.lr = 0.002
