"""TensorMask, ResNet-50-FPN, 1x schedule (the reference published box AP 37.6, mask AP 32.4)."""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.layers import ShapeSpec
from lazycfg.model_zoo.common.data.coco import dataloader
from lazycfg.model_zoo.common.data.constants import constants
from lazycfg.model_zoo.common.models.retinanet import model as retinanet
from lazycfg.model_zoo.common.optim import SGD as optimizer
from lazycfg.model_zoo.common.schedules import lr_multiplier_1x as lr_multiplier
from lazycfg.model_zoo.common.train import train
from lazycfg.modeling import Box2BoxTransform
from lazycfg.projects.tensormask import TensorMask, TensorMaskAnchorGenerator, TensorMaskHead

model: Any = L(TensorMask)(
    backbone=retinanet.backbone,
    head=L(TensorMaskHead)(
        input_shape=[ShapeSpec(channels=256)] * 6,
        num_classes=ref("..num_classes"),
        num_convs=4,
        cls_channels=256,
        bbox_channels=128,
        mask_channels=128,
        mask_sizes=(11, 15),
        aligned_on=True,
        bipyramid_on=True,
    ),
    head_in_features=["p2", "p3", "p4", "p5", "p6", "p7"],
    anchor_generator=L(TensorMaskAnchorGenerator)(
        sizes=[[44 * 2**level, 60 * 2**level] for level in range(6)],
        aspect_ratios=[1.0],
        strides=[4, 8, 16, 32, 64, 128],
        offset=0.0,
    ),
    box2box_transform=L(Box2BoxTransform)(weights=(1.5, 1.5, 0.75, 0.75)),
    num_classes=80,
    focal_loss_alpha=0.3,
    focal_loss_gamma=3.0,
    mask_loss_weight=2.0,
    mask_loss_positive_weight=1.5,
    test_score_thresh=0.05,
    test_topk_candidates=6000,
    test_nms_thresh=0.5,
    max_detections_per_image=100,
    pixel_mean=constants["imagenet_bgr256_mean"],
    pixel_std=constants["imagenet_bgr256_std"],
    input_format="BGR",
)
model.backbone.bottom_up.update(out_features=["res2", "res3", "res4", "res5"], freeze_at=2)
model.backbone.update(in_features=["res2", "res3", "res4", "res5"], fuse_type="avg")
del retinanet, constants

dataloader.train.mapper.augmentations[0].update(short_edge_length=(800,))
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-50.pkl"
