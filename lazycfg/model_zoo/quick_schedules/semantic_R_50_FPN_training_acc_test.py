"""Semantic segmentation, ResNet-50-FPN: 600 steps on generated images."""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.evaluation import SemSegEvaluator

from ..common.data.shapes import dataloader
from ..common.models.semantic_fpn import model
from ..common.optim import SGD as optimizer
from ..common.quick import on_shapes
from ..common.train import train

model.sem_seg_head.num_classes = 5  # the ground, and four shapes
dataloader.train.mapper.use_instance_mask = False
dataloader.evaluator = L(SemSegEvaluator)(dataset=ref("..test.dataset"))
lr_multiplier: Any = on_shapes(
    model,
    dataloader,
    optimizer,
    train,
    max_iter=600,
    lr=0.01,
    name="semantic_R_50_FPN_training_acc_test",
    label_maps="semantic",
)
