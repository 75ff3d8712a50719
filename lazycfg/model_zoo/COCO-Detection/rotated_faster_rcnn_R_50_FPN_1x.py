"""Rotated Faster R-CNN, ResNet-50-FPN, 1x schedule.

COCO's boxes are upright: they are trained on as boxes of angle 0. Put data with rotated boxes ("bbox" of five
numbers in a COCO file, xc, yc, width, height and degrees counter-clockwise) in its place:

    dataloader.train.dataset.dataset.json_file=... dataloader.test.dataset.json_file=...
"""

from lazycfg import LazyCall as L
from lazycfg.evaluation import RotatedCOCOEvaluator

from ..common.data.coco import dataloader
from ..common.models.rotated_faster_rcnn import model
from ..common.optim import SGD as optimizer
from ..common.schedules import lr_multiplier_1x as lr_multiplier
from ..common.train import train

dataloader.train.mapper.update(use_instance_mask=False, use_rotated_box=True)
dataloader.evaluator = L(RotatedCOCOEvaluator)(dataset="${..test.dataset}")
model.backbone.bottom_up.freeze_at = 2
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-50.pkl"
