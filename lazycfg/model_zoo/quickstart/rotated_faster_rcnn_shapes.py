"""Quickstart: a small detector of rotated boxes on generated pictures of shapes.  A CPU, some minutes.

    python tools/train_net.py --config-file model_zoo/quickstart/rotated_faster_rcnn_shapes.py

The model is the zoo's rotated Faster R-CNN made smaller: each difference is one assignment below.
"""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.evaluation import RotatedCOCOEvaluator
from lazycfg.layers import ShapeSpec
from lazycfg.modeling import BasicBlock, ResNet

from ..common.data.shapes import dataloader
from ..common.models.rotated_faster_rcnn import model
from ..common.optim import AdamW as optimizer
from ..common.schedules import warmup_cosine
from ..common.train import train

# A ResNet-10 of half the width, trained from scratch, and a pyramid of 64 channels.
resnet = model.backbone.bottom_up
resnet.stem.update(out_channels=32, norm="BN")
resnet.stages = [
    L(ResNet.make_stage)(
        block_class=BasicBlock,
        num_blocks=1,
        stride=stride,
        in_channels=before,
        out_channels=after,
        norm="BN",
    )
    for stride, before, after in [(1, 32, 32), (2, 32, 64), (2, 64, 128), (2, 128, 256)]
]
resnet.freeze_at = 0
model.backbone.update(out_channels=64, norm="BN")

# Pictures of 128 pixels: smaller anchors, fewer proposals. No box is turned far from all anchors.
rpn = model.proposal_generator
rpn.head.update(in_channels=64, num_anchors=12)
rpn.anchor_generator.update(
    sizes=[[16], [32], [48], [64], [96]], aspect_ratios=[0.5, 1.0, 2.0], angles=[-67.5, -22.5, 22.5, 67.5]
)
rpn.update(batch_size_per_image=64, pre_nms_topk=(200, 100), post_nms_topk=(100, 50))

heads = model.roi_heads
heads.update(num_classes=3, batch_size_per_image=32)
heads.box_head.update(input_shape=ShapeSpec(channels=64, height=7, width=7), fc_dims=[256, 256])
heads.box_predictor.input_shape = ShapeSpec(channels=256)
del resnet, rpn, heads

for part in (dataloader.train, dataloader.test):
    part.dataset.update(classes=("triangle", "square", "bar"), rotated=True)
dataloader.train.mapper.update(use_instance_mask=False, use_rotated_box=True)
dataloader.evaluator = L(RotatedCOCOEvaluator)(dataset="${..test.dataset}")
del part

optimizer.update(lr=2e-3, weight_decay=0.05)
lr_multiplier: Any = warmup_cosine(warmup_length=0.1)

train.update(output_dir="./output/quickstart_rotated", max_iter=900, eval_period=0)
