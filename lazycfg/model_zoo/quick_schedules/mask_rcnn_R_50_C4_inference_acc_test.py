"""Mask R-CNN, ResNet-50-C4, on 100 images of COCO, with published weights."""

from ..common.data.coco import dataloader
from ..common.models.mask_rcnn_c4 import model
from ..common.optim import SGD as optimizer
from ..common.quick import on_coco_val_100
from ..common.schedules import lr_multiplier_1x as lr_multiplier
from ..common.train import train

on_coco_val_100(dataloader, train, weights="COCO-InstanceSegmentation/mask_rcnn_R_50_C4_3x")
