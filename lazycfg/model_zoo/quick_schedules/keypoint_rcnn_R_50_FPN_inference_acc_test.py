"""Keypoint R-CNN, ResNet-50-FPN, on 100 images of COCO, with published weights."""

from ..common.data.coco_keypoint import dataloader
from ..common.models.keypoint_rcnn_fpn import model
from ..common.optim import SGD as optimizer
from ..common.quick import on_coco_val_100
from ..common.schedules import lr_multiplier_1x as lr_multiplier
from ..common.train import train

on_coco_val_100(dataloader, train, weights="COCO-Keypoints/keypoint_rcnn_R_50_FPN_3x")
