"""Mask R-CNN, ResNet-50-FPN, LVIS v0.5, 90,000 steps (the reference: box AP 23.6, mask AP 24.4)."""

from ..common.data.lvis_v05 import dataloader
from ..common.models.mask_rcnn_fpn import model
from ..common.optim import SGD as optimizer
from ..common.schedules import lr_multiplier_1x as lr_multiplier
from ..common.train import train

model.backbone.bottom_up.freeze_at = 2
model.roi_heads.num_classes = 1230
model.roi_heads.box_predictor.update(test_score_thresh=1e-4, test_topk_per_image=300)
train.update(
    init_checkpoint="detectron2://ImageNetPretrained/MSRA/R-50.pkl",
    max_iter=90000,
    eval_period=0,  # at the end: the evaluation of 5,000 images with 300 detections each takes its time
)
