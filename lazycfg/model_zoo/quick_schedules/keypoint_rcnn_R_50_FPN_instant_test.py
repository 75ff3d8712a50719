"""Keypoint R-CNN, ResNet-50-FPN: forty steps on generated images."""

from typing import Any

from ..common.data.shapes import dataloader
from ..common.models.keypoint_rcnn_fpn import model
from ..common.optim import SGD as optimizer
from ..common.quick import on_shapes
from ..common.train import train

model.roi_heads.num_classes = 4
lr_multiplier: Any = on_shapes(
    model,
    dataloader,
    optimizer,
    train,
    max_iter=40,
    lr=0.005,
    name="keypoint_rcnn_R_50_FPN_instant_test",
    keypoints=True,
)
