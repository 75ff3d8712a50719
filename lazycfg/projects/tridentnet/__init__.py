"""TridentNet (Li et al., arXiv:1901.01892): a stage of branches that share their weights."""

from .trident_backbone import (
    TridentBottleneckBlock,
    is_trident_fast,
    make_trident_resnet_stages,
    make_trident_stage,
)
from .trident_conv import TridentConv
from .trident_rcnn import TridentRes5ROIHeads, TridentStandardROIHeads, merge_branch_instances
from .trident_rpn import TridentRPN

__all__ = [
    "TridentBottleneckBlock",
    "TridentConv",
    "TridentRPN",
    "TridentRes5ROIHeads",
    "TridentStandardROIHeads",
    "is_trident_fast",
    "make_trident_resnet_stages",
    "make_trident_stage",
    "merge_branch_instances",
]
