"""COCO 2017, boxes, with proposals of an RPN for every image.

The proposals are those of the reference's RPN: `coco_2017_{train,val}_box_proposals_*.pkl` in
`$DETECTRON2_DATASETS/proposals` (`datasets/proposals` when unset), or what `rpn_R_50_FPN_1x.py` writes when
evaluated with `dataloader.evaluator.output_dir` set.
"""

from lazycfg import LazyCall as L
from lazycfg.data import ProposalsDataset

from .coco import dataloader

_proposals = "${oc.env:DETECTRON2_DATASETS,datasets}/proposals"

dataloader.train.dataset = L(ProposalsDataset)(
    dataset=dataloader.train.dataset, proposal_file=f"{_proposals}/coco_2017_train_box_proposals_21bc3a.pkl"
)
dataloader.test.dataset = L(ProposalsDataset)(
    dataset=dataloader.test.dataset, proposal_file=f"{_proposals}/coco_2017_val_box_proposals_ee0dad.pkl"
)
dataloader.train.mapper.update(use_instance_mask=False, precomputed_proposal_topk=2000)
dataloader.test.mapper.precomputed_proposal_topk = 1000
