"""Keypoint R-CNN, ResNet-50-FPN: 600 steps on generated images."""

from typing import Any

from ..common.data.shapes import dataloader
from ..common.models.keypoint_rcnn_fpn import model
from ..common.optim import SGD as optimizer
from ..common.quick import on_shapes
from ..common.train import train

model.roi_heads.num_classes = 4
model.roi_heads.batch_size_per_image = 128
lr_multiplier: Any = on_shapes(
    model,
    dataloader,
    optimizer,
    train,
    max_iter=600,
    lr=0.01,
    name="keypoint_rcnn_R_50_FPN_training_acc_test",
    keypoints=True,
)
