"""The region proposal network alone, on a feature pyramid."""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.modeling import ProposalNetwork

from .mask_rcnn_fpn import model as mask_rcnn

model: Any = L(ProposalNetwork)(
    backbone=mask_rcnn.backbone,
    proposal_generator=mask_rcnn.proposal_generator,
    pixel_mean=mask_rcnn.pixel_mean,
    pixel_std=mask_rcnn.pixel_std,
    input_format=mask_rcnn.input_format,
)
# Proposals are the result here, so testing keeps more of them.
model.proposal_generator.post_nms_topk = (1000, 2000)
