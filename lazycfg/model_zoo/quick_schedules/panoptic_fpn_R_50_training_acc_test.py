"""Panoptic FPN, ResNet-50: 600 steps on generated images."""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.evaluation import COCOEvaluator, COCOPanopticEvaluator, SemSegEvaluator

from ..common.data.shapes import dataloader
from ..common.models.panoptic_fpn import model
from ..common.optim import SGD as optimizer
from ..common.quick import on_shapes
from ..common.train import train

model.roi_heads.num_classes = 4
model.sem_seg_head.num_classes = 2  # all shapes, and the ground
dataloader.evaluator = [
    L(evaluator)(dataset=ref("...test.dataset"))
    for evaluator in (COCOEvaluator, SemSegEvaluator, COCOPanopticEvaluator)
]
model.roi_heads.batch_size_per_image = 128
lr_multiplier: Any = on_shapes(
    model,
    dataloader,
    optimizer,
    train,
    max_iter=600,
    lr=0.01,
    name="panoptic_fpn_R_50_training_acc_test",
    label_maps="panoptic",
)
