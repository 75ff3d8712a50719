"""DensePose, charts, ResNet-50-FPN (the reference published box AP 61.2, segm 67.2, GPS 63.7, GPSm 65.3)."""

from lazycfg.model_zoo.common.optim import SGD as optimizer
from lazycfg.model_zoo.common.train import train

from .common.densepose_coco import dataloader
from .common.densepose_rcnn_fpn import model
from .common.schedules import lr_multiplier_s1x as lr_multiplier

optimizer.lr = 0.01
train.max_iter = 130000
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-50.pkl"
