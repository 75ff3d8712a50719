"""The region proposal network alone, on one map of stride 16."""

from lazycfg.modeling import ProposalNetwork

from .mask_rcnn_c4 import model

model._target_ = ProposalNetwork
del model["roi_heads"]
