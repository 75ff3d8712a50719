"""Panoptic FPN, ResNet-101, deformable convolutions, cascade, group normalisation, 3x schedule.

The reference published box AP 47.4, mask AP 41.3, PQ 46.1.
"""

from ..common.data.coco_panoptic_separated import dataloader
from ..common.models.cascade_rcnn_gn_dconv import model as cascade
from ..common.models.panoptic_fpn import model
from ..common.optim import SGD as optimizer
from ..common.schedules import lr_multiplier_3x as lr_multiplier
from ..common.train import train

model.update(backbone=cascade.backbone, roi_heads=cascade.roi_heads)
model.backbone.norm = "GN"
model.backbone.bottom_up.stem.norm = "GN"
model.backbone.bottom_up.stages.update(depth=101, norm="GN")
model.backbone.bottom_up.freeze_at = 2
model.proposal_generator.post_nms_topk = (2000, 1000)
for _head in model.roi_heads.box_heads:
    _head.update(conv_dims=[], fc_dims=[1024, 1024], conv_norm="")
del cascade

# Twice the batch for half of the steps.
dataloader.train.total_batch_size = 32
optimizer.lr = 0.04
train.max_iter = 135000
lr_multiplier.warmup_length = 1000 / train.max_iter
train.init_checkpoint = "detectron2://ImageNetPretrained/FAIR/R-101-GN.pkl"
