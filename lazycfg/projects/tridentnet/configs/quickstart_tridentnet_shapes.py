"""Quickstart: a small TridentNet Fast on generated images of shapes.

A CPU, some minutes, nothing to download:

    python tools/train_net.py --config-file projects/tridentnet/configs/quickstart_tridentnet_shapes.py

The model is that of `tridentnet_fast_R_50_C4_1x` made smaller.
"""

from lazycfg import LazyCall as L
from lazycfg.model_zoo.quickstart.mask_rcnn_shapes import dataloader, lr_multiplier, optimizer, train
from lazycfg.modeling import BasicBlock, ResNet
from lazycfg.projects.tridentnet import TridentBottleneckBlock, make_trident_stage

from .tridentnet_fast_R_50_C4_1x import model


def _stage(stride, before, after, blocks=2):
    return L(ResNet.make_stage)(
        block_class=BasicBlock,
        num_blocks=blocks,
        stride_per_block=[stride, 1][:blocks],
        in_channels=before,
        out_channels=after,
        norm="BN",
    )


# Trained from scratch; one map of stride 8, so that the shapes are some pixels large on it.
model.backbone.stem.update(out_channels=32, norm="BN")
model.backbone.stages = [
    _stage(1, 32, 32),
    _stage(2, 32, 64),
    L(make_trident_stage)(
        block_class=TridentBottleneckBlock,
        num_blocks=2,
        stride_per_block=[1, 1],
        in_channels=64,
        out_channels=128,
        bottleneck_channels=64,
        norm="BN",
        num_branch=3,
        dilations=(1, 2, 3),
        test_branch_idx=1,
    ),
]
model.backbone.freeze_at = 0

rpn, heads = model.proposal_generator, model.roi_heads
for part in (rpn, heads):
    part.num_branch = "${..backbone.stages.2.num_branch}"
    part.trident_fast.test_branch_idx = "${...backbone.stages.2.test_branch_idx}"
rpn.head.update(in_channels=128, num_anchors=9)
rpn.anchor_generator.update(sizes=[[24, 40, 64]], strides=[8])
rpn.update(batch_size_per_image=64, pre_nms_topk=(200, 100), post_nms_topk=(60, 50))

heads.update(num_classes=4, batch_size_per_image=16)
heads.pooler.update(output_size=6, scales=(1 / 8,))
heads.res5 = _stage(2, 128, 256, blocks=1)
heads.box_predictor.input_shape.channels = 256
del rpn, heads, part

dataloader.train.mapper.use_instance_mask = False
train.update(output_dir="./output/tridentnet", max_iter=500)
