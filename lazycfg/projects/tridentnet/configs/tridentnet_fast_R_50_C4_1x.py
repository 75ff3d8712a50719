"""TridentNet Fast, ResNet-50-C4, 1x schedule (the reference published box AP 38.0)."""

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.model_zoo.common.data.coco import dataloader
from lazycfg.model_zoo.common.models.faster_rcnn_c4 import model
from lazycfg.model_zoo.common.optim import SGD as optimizer
from lazycfg.model_zoo.common.schedules import lr_multiplier_1x as lr_multiplier
from lazycfg.model_zoo.common.train import train
from lazycfg.projects.tridentnet import (
    TridentRes5ROIHeads,
    TridentRPN,
    is_trident_fast,
    make_trident_resnet_stages,
)

# Three branches in res4; in evaluation the middle one only (test_branch_idx=-1: all of them).
model.backbone.update(
    stages=L(make_trident_resnet_stages)(
        depth=50,
        trident_stage="res4",
        num_branch=3,
        branch_dilations=(1, 2, 3),
        test_branch_idx=1,
        stride_in_1x1=True,
        norm="FrozenBN",
    ),
    freeze_at=2,
)

# The proposals and the heads see each branch of each image as an image, so there are fewer samples of each.
branches = dict(
    num_branch=ref("..backbone.stages.num_branch"),
    trident_fast=L(is_trident_fast)(test_branch_idx=ref("...backbone.stages.test_branch_idx")),
)
model.proposal_generator = L(TridentRPN)(**branches, **model.proposal_generator.args())
model.proposal_generator.post_nms_topk = (500, 1000)
model.roi_heads = L(TridentRes5ROIHeads)(**branches, **model.roi_heads.args())
model.roi_heads.update(batch_size_per_image=128, positive_fraction=0.5, proposal_append_gt=False)
del branches

dataloader.train.mapper.use_instance_mask = False
train.init_checkpoint = "detectron2://ImageNetPretrained/MSRA/R-50.pkl"
