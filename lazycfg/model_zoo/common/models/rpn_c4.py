"""The region proposal network alone, on one map of stride 16."""

from lazycfg.modeling import ProposalNetwork

from .mask_rcnn_c4 import model

model._target_ = ProposalNetwork
del model["roi_heads"]
# Proposals are the result here, so testing keeps as many as training.
model.proposal_generator.update(pre_nms_topk=(12000, 12000), post_nms_topk=(2000, 2000))
