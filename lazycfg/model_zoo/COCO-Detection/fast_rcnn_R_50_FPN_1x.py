"""Fast R-CNN on precomputed proposals, ResNet-50-FPN, 1x schedule (the reference published box AP 37.8).

The proposals are those of its RPN: `coco_2017_{train,val}_box_proposals_*.pkl` in
`$DETECTRON2_DATASETS/proposals` (`datasets/proposals` when unset), or what the `rpn_R_50_FPN_1x.py` config
writes when evaluated with `dataloader.evaluator.output_dir` set.
"""

from lazycfg import LazyCall as L
from lazycfg.data import ProposalsDataset

from ..common.data.coco import dataloader
from ..common.models.fast_rcnn_fpn import model
from ..common.optim import SGD as optimizer
from ..common.schedules import lr_multiplier_1x as lr_multiplier
from ..common.train import train

_proposals = "${oc.env:DETECTRON2_DATASETS,datasets}/proposals"

dataloader.train.dataset = L(ProposalsDataset)(
    dataset=dataloader.train.dataset, proposal_file=f"{_proposals}/coco_2017_train_box_proposals_21bc3a.pkl"
)
dataloader.test.dataset = L(ProposalsDataset)(
    dataset=dataloader.test.dataset, proposal_file=f"{_proposals}/coco_2017_val_box_proposals_ee0dad.pkl"
)
dataloader.train.mapper.update(use_instance_mask=False, precomputed_proposal_topk=2000)
dataloader.test.mapper.precomputed_proposal_topk = 1000
model.backbone.bottom_up.freeze_at = 2
train.init_checkpoint = "${oc.env:LAZYCFG_WEIGHTS,weights}/ImageNetPretrained/MSRA/R-50.pkl"
