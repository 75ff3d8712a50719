"""Mask R-CNN with deformable convolutions in the stages res3 to res5 (arXiv:1703.06211).

``deform_modulated=True`` in each of ``model.backbone.bottom_up.stages[1:]`` weighs the sampling points too.
"""

from lazycfg import LazyCall as L
from lazycfg.modeling import BottleneckBlock, DeformBottleneckBlock, ResNet

from .mask_rcnn_fpn import model

common = {"norm": "FrozenBN", "stride_in_1x1": True}

model.backbone.bottom_up.stages = [
    L(ResNet.make_stage)(
        block_class=BottleneckBlock,
        num_blocks=3,
        stride_per_block=[1, 1, 1],
        in_channels=64,
        out_channels=256,
        bottleneck_channels=64,
        **common,
    ),
    *(
        L(ResNet.make_stage)(
            block_class=DeformBottleneckBlock,
            num_blocks=num_blocks,
            stride_per_block=[2] + [1] * (num_blocks - 1),
            in_channels=4 * channels // 2,
            out_channels=4 * channels,
            bottleneck_channels=channels,
            deform_modulated=False,
            deform_num_groups=1,
            **common,
        )
        for num_blocks, channels in [(4, 128), (6, 256), (3, 512)]
    ),
]
