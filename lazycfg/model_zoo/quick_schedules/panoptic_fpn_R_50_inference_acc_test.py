"""Panoptic FPN, ResNet-50, on 100 images of COCO, with published weights."""

from ..common.data.coco_panoptic_separated import dataloader
from ..common.models.panoptic_fpn import model
from ..common.optim import SGD as optimizer
from ..common.quick import on_coco_val_100
from ..common.schedules import lr_multiplier_1x as lr_multiplier
from ..common.train import train

on_coco_val_100(dataloader, train, weights="COCO-PanopticSegmentation/panoptic_fpn_R_50_3x")
