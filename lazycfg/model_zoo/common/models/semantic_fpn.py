"""Semantic segmentation on a feature pyramid: the semantic half of Panoptic FPN (arXiv:1901.02446)."""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.modeling import SemanticSegmentor

from .panoptic_fpn import model as panoptic

model: Any = L(SemanticSegmentor)(
    backbone=panoptic.backbone,
    sem_seg_head=panoptic.sem_seg_head,
    pixel_mean=panoptic.pixel_mean,
    pixel_std=panoptic.pixel_std,
    input_format=panoptic.input_format,
)
model.sem_seg_head.loss_weight = 1.0
del panoptic
