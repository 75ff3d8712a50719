"""Panoptic-DeepLab (arXiv:1911.10194), ResNet-52, output stride 16: 19 classes of Cityscapes, crops of
512x1024."""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.layers import ShapeSpec
from lazycfg.model_zoo.common.data.constants import constants
from lazycfg.modeling import DeepLabStem, ResNet
from lazycfg.projects.panoptic_deeplab import (
    PanopticDeepLab,
    PanopticDeepLabInsEmbedHead,
    PanopticDeepLabSemSegHead,
)

_levels = dict(
    res2=L(ShapeSpec)(channels=256, stride=4),
    res3=L(ShapeSpec)(channels=512, stride=8),
    res5=L(ShapeSpec)(channels=2048, stride=16),
)

model: Any = L(PanopticDeepLab)(
    backbone=L(ResNet)(
        stem=L(DeepLabStem)(in_channels=3, out_channels=128, norm="SyncBN"),
        stages=L(ResNet.make_default_stages)(
            depth=50,
            stem_channels=ref("..stem.out_channels"),
            stride_in_1x1=False,
            res5_dilation=2,
            res5_multi_grid=[1, 2, 4],
            norm=ref("..stem.norm"),
        ),
        out_features=["res2", "res3", "res5"],
        freeze_at=0,
    ),
    sem_seg_head=L(PanopticDeepLabSemSegHead)(
        input_shape=_levels,
        project_channels=[32, 64],
        aspp_dilations=[6, 12, 18],
        aspp_dropout=0.1,
        decoder_channels=[256, 256, 256],
        head_channels=256,
        common_stride=4,
        norm="SyncBN",
        # As the images are cropped. None: pool over the whole image, whatever its size
        train_size=(512, 1024),
        loss_weight=1.0,
        loss_type="hard_pixel_mining",
        loss_top_k=0.2,
        ignore_value=255,
        num_classes=19,
        use_depthwise_separable_conv=False,
    ),
    ins_embed_head=L(PanopticDeepLabInsEmbedHead)(
        input_shape=ref("..sem_seg_head.input_shape"),
        project_channels=ref("..sem_seg_head.project_channels"),
        aspp_dilations=ref("..sem_seg_head.aspp_dilations"),
        aspp_dropout=0.1,
        decoder_channels=[128, 128, 256],
        head_channels=32,
        common_stride=4,
        norm="SyncBN",
        train_size=ref("..sem_seg_head.train_size"),
        center_loss_weight=200.0,
        offset_loss_weight=0.01,
        use_depthwise_separable_conv=ref("..sem_seg_head.use_depthwise_separable_conv"),
    ),
    pixel_mean=constants["imagenet_rgb256_mean"],
    pixel_std=constants["imagenet_rgb256_std"],
    input_format="RGB",
    thing_ids=[11, 12, 13, 14, 15, 16, 17, 18],
    label_divisor=1000,
    stuff_area=2048,
    threshold=0.1,
    nms_kernel=7,
    top_k=200,
    predict_instances=True,
    size_divisibility=-1,
    benchmark_network_speed=False,
)
