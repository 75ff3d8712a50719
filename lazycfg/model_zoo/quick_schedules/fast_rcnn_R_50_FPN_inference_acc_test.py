"""Fast R-CNN, ResNet-50-FPN, on 100 images of COCO and published proposals, with published weights."""

from ..common.data.coco_proposals import dataloader
from ..common.models.fast_rcnn_fpn import model
from ..common.optim import SGD as optimizer
from ..common.quick import on_coco_val_100
from ..common.schedules import lr_multiplier_1x as lr_multiplier
from ..common.train import train

on_coco_val_100(dataloader, train, weights="COCO-Detection/fast_rcnn_R_50_FPN_1x")
