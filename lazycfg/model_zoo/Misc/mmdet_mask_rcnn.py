"""Mask R-CNN of mmdetection, ResNet-50-FPN, 1x schedule: its model, with the data and the training of here.

mmdetection (version 2 or 3, with mmcv) is installed by hand. Its backbone brings torchvision's weights.
"""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.modeling import MMDetDetector

from ..common.data.coco import dataloader
from ..common.data.constants import constants
from ..common.optim import SGD as optimizer
from ..common.schedules import lr_multiplier_1x as lr_multiplier
from ..common.train import train

_nms = dict(type="nms", iou_threshold=0.7)


def _assigner(positive: float, negative: float, lowest: float) -> dict[str, Any]:
    return dict(
        type="MaxIoUAssigner",
        pos_iou_thr=positive,
        neg_iou_thr=negative,
        min_pos_iou=lowest,
        match_low_quality=True,
        ignore_iof_thr=-1,
    )


def _sampler(count: int, positive: float, truth: bool) -> dict[str, Any]:
    return dict(
        type="RandomSampler", num=count, pos_fraction=positive, neg_pos_ub=-1, add_gt_as_proposals=truth
    )


def _coder(*deviations: float) -> dict[str, Any]:
    return dict(type="DeltaXYWHBBoxCoder", target_means=[0.0] * 4, target_stds=list(deviations))


def _extractor(size: int) -> dict[str, Any]:
    return dict(
        type="SingleRoIExtractor",
        roi_layer=dict(type="RoIAlign", output_size=size, sampling_ratio=0),
        out_channels=256,
        featmap_strides=[4, 8, 16, 32],
    )


model: Any = L(MMDetDetector)(
    detector=dict(
        type="MaskRCNN",
        backbone=dict(
            type="ResNet",
            depth=50,
            num_stages=4,
            out_indices=(0, 1, 2, 3),
            frozen_stages=1,
            norm_cfg=dict(type="BN", requires_grad=True),
            norm_eval=True,
            style="pytorch",
            init_cfg=dict(type="Pretrained", checkpoint="torchvision://resnet50"),
        ),
        neck=dict(type="FPN", in_channels=[256, 512, 1024, 2048], out_channels=256, num_outs=5),
        rpn_head=dict(
            type="RPNHead",
            in_channels=256,
            feat_channels=256,
            anchor_generator=dict(
                type="AnchorGenerator", scales=[8], ratios=[0.5, 1.0, 2.0], strides=[4, 8, 16, 32, 64]
            ),
            bbox_coder=_coder(1.0, 1.0, 1.0, 1.0),
            loss_cls=dict(type="CrossEntropyLoss", use_sigmoid=True, loss_weight=1.0),
            loss_bbox=dict(type="L1Loss", loss_weight=1.0),
        ),
        roi_head=dict(
            type="StandardRoIHead",
            bbox_roi_extractor=_extractor(7),
            bbox_head=dict(
                type="Shared2FCBBoxHead",
                in_channels=256,
                fc_out_channels=1024,
                roi_feat_size=7,
                num_classes=80,
                bbox_coder=_coder(0.1, 0.1, 0.2, 0.2),
                reg_class_agnostic=False,
                loss_cls=dict(type="CrossEntropyLoss", use_sigmoid=False, loss_weight=1.0),
                loss_bbox=dict(type="L1Loss", loss_weight=1.0),
            ),
            mask_roi_extractor=_extractor(14),
            mask_head=dict(
                type="FCNMaskHead",
                num_convs=4,
                in_channels=256,
                conv_out_channels=256,
                num_classes=80,
                loss_mask=dict(type="CrossEntropyLoss", use_mask=True, loss_weight=1.0),
            ),
        ),
        train_cfg=dict(
            rpn=dict(
                assigner=_assigner(0.7, 0.3, 0.3),
                sampler=_sampler(256, 0.5, False),
                allowed_border=-1,
                pos_weight=-1,
                debug=False,
            ),
            rpn_proposal=dict(nms_pre=2000, max_per_img=1000, nms=dict(_nms), min_bbox_size=0),
            rcnn=dict(
                assigner=_assigner(0.5, 0.5, 0.5),
                sampler=_sampler(512, 0.25, True),
                mask_size=28,
                pos_weight=-1,
                debug=False,
            ),
        ),
        test_cfg=dict(
            rpn=dict(nms_pre=1000, max_per_img=1000, nms=dict(_nms), min_bbox_size=0),
            rcnn=dict(
                score_thr=0.05,
                nms=dict(type="nms", iou_threshold=0.5),
                max_per_img=100,
                mask_thr_binary=0.5,
            ),
        ),
    ),
    pixel_mean=constants["imagenet_rgb256_mean"],
    pixel_std=constants["imagenet_rgb256_std"],
    input_format="RGB",
)

dataloader.train.mapper.use_instance_mask = True
dataloader.train.mapper.image_format = "RGB"
train.init_checkpoint = ""
del constants
