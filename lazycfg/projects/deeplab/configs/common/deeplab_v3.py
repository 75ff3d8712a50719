"""DeepLab v3 (arXiv:1706.05587), ResNet-103, output stride 16, for Cityscapes in crops of 512x1024."""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.layers import ShapeSpec
from lazycfg.model_zoo.common.data.constants import constants
from lazycfg.modeling import DeepLabStem, DeepLabV3Head, ResNet, SemanticSegmentor

model: Any = L(SemanticSegmentor)(
    backbone=L(ResNet)(
        stem=L(DeepLabStem)(in_channels=3, out_channels=128, norm="SyncBN"),
        stages=L(ResNet.make_default_stages)(
            depth=101,
            stem_channels=ref("..stem.out_channels"),
            stride_in_1x1=False,
            res5_dilation=2,
            res5_multi_grid=[1, 2, 4],
            norm=ref("..stem.norm"),
        ),
        out_features=["res5"],
        freeze_at=0,
    ),
    sem_seg_head=L(DeepLabV3Head)(
        input_shape=dict(res5=L(ShapeSpec)(channels=2048, stride=16)),
        num_classes=19,
        aspp_channels=256,
        aspp_dilations=[6, 12, 18],
        aspp_dropout=0.1,
        common_stride=16,
        norm="SyncBN",
        # As the images are cropped. None: pool over the whole image, whatever its size
        train_size=(512, 1024),
        loss_weight=1.0,
        loss_type="hard_pixel_mining",
        ignore_value=255,
        use_depthwise_separable_conv=False,
    ),
    pixel_mean=constants["imagenet_rgb256_mean"],
    pixel_std=constants["imagenet_rgb256_std"],
    input_format="RGB",
)
