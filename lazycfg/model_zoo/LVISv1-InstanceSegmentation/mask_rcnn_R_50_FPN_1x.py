"""Mask R-CNN, ResNet-50-FPN, LVIS v1, 180,000 steps."""

from ..common.data.lvis_v1 import dataloader
from ..common.models.mask_rcnn_fpn import model
from ..common.optim import SGD as optimizer
from ..common.schedules import lr_multiplier_2x as lr_multiplier
from ..common.train import train

model.backbone.bottom_up.freeze_at = 2
model.roi_heads.num_classes = 1203
model.roi_heads.box_predictor.update(test_score_thresh=1e-4, test_topk_per_image=300)
train.update(
    init_checkpoint="detectron2://ImageNetPretrained/MSRA/R-50.pkl",
    max_iter=180000,
    eval_period=0,  # at the end: the evaluation of 19,809 images with 300 detections each takes its time
)
