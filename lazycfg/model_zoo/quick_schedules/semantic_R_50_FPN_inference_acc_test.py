"""Semantic segmentation, ResNet-50-FPN, on 100 images of COCO, with published weights."""

from ..common.data.coco_panoptic_stuffonly import dataloader
from ..common.models.semantic_fpn import model
from ..common.optim import SGD as optimizer
from ..common.quick import on_coco_val_100
from ..common.schedules import lr_multiplier_1x as lr_multiplier
from ..common.train import train

on_coco_val_100(
    dataloader,
    train,
    weights="detectron2://semantic_R_50_FPN_1x/111802073/model_final_c18079783c55a94968edc28b7101c5f0.pkl",
)
