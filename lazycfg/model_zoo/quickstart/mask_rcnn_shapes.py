"""Quickstart: a small Mask R-CNN on generated pictures of shapes.  A CPU, some minutes, nothing to download.

    python tools/train_net.py --config-file model_zoo/quickstart/mask_rcnn_shapes.py

On a GPU the pictures are the slow part: dataloader.train.num_workers=8 halves the time.

The model is the zoo's Mask R-CNN made smaller: each difference is one assignment below.
"""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.layers import ShapeSpec
from lazycfg.modeling import BasicBlock, ResNet

from ..common.data.shapes import dataloader
from ..common.models.mask_rcnn_fpn import model
from ..common.optim import AdamW as optimizer
from ..common.schedules import warmup_cosine
from ..common.train import train

# A ResNet-18 of half the width, trained from scratch, and a pyramid of 64 channels.
resnet = model.backbone.bottom_up
resnet.stem.update(out_channels=32, norm="BN")
resnet.stages = [
    L(ResNet.make_stage)(
        block_class=BasicBlock,
        num_blocks=2,
        stride_per_block=[stride, 1],
        in_channels=before,
        out_channels=after,
        norm="BN",
    )
    for stride, before, after in [(1, 32, 32), (2, 32, 64), (2, 64, 128), (2, 128, 256)]
]
resnet.freeze_at = 0
model.backbone.update(out_channels=64, norm="BN")

# Pictures of 128 pixels: smaller anchors, fewer proposals.
rpn = model.proposal_generator
rpn.head.in_channels = 64
rpn.anchor_generator.sizes = [[16], [32], [48], [64], [96]]
rpn.update(batch_size_per_image=64, pre_nms_topk=(200, 100), post_nms_topk=(100, 50))

heads = model.roi_heads
heads.update(num_classes=4, batch_size_per_image=32)
heads.box_head.update(input_shape=ShapeSpec(channels=64, height=7, width=7), fc_dims=[256, 256])
heads.box_predictor.input_shape = ShapeSpec(channels=256)
heads.mask_head.update(input_shape=ShapeSpec(channels=64, height=14, width=14), conv_dims=[64, 64, 64])
del resnet, rpn, heads

dataloader.train.total_batch_size = 8

optimizer.update(lr=2e-3, weight_decay=0.05)
lr_multiplier: Any = warmup_cosine(warmup_length=0.1)

train.update(output_dir="./output/quickstart", max_iter=900, eval_period=0)
