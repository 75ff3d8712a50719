"""Cascade Mask R-CNN, MViTv2-H-FPN pretrained on ImageNet-21k, 36 COCO epochs with large-scale jitter.

The reference published box AP 56.1, mask AP 48.5.
"""

from ..common.data.coco_lsj import dataloader
from .cascade_mask_rcnn_mvitv2_t_3x import lr_multiplier, model, optimizer, train

model.backbone.bottom_up.update(
    embed_dim=192,
    depth=80,
    num_heads=3,
    last_block_indexes=(3, 11, 71, 79),
    drop_path_rate=0.6,
    use_act_checkpoint=True,
)

# Padded to 1024x1024 in training; tested on images of the usual size.
dataloader.train.mapper.augmentations[-1].pad = True
dataloader.test.mapper.augmentations[0].update(short_edge_length=800, max_size=1333)

train.init_checkpoint = "${oc.env:LAZYCFG_WEIGHTS,weights}/ImageNetPretrained/mvitv2/MViTv2_H_in21k.pyth"
