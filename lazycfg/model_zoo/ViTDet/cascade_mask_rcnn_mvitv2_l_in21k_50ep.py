"""Cascade Mask R-CNN, MViTv2-L pretrained on ImageNet-21k, 50 COCO epochs, a baseline of ViTDet.

See arXiv:2203.16527. The reference published box AP 55.7, mask AP 48.3.
"""

from .cascade_mask_rcnn_mvitv2_b_in21k_100ep import dataloader, model, optimizer
from .cascade_mask_rcnn_swin_b_in21k_50ep import lr_multiplier, train

model.backbone.bottom_up.update(
    embed_dim=144, depth=48, num_heads=2, last_block_indexes=(1, 7, 43, 47), drop_path_rate=0.5
)
train.init_checkpoint = "${oc.env:LAZYCFG_WEIGHTS,weights}/ImageNetPretrained/mvitv2/MViTv2_L_in21k.pyth"
