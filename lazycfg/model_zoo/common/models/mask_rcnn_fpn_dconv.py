"""Mask R-CNN with deformable convolutions in the stages res3 to res5 (arXiv:1703.06211).

``model.backbone.bottom_up.stages.deform_modulated = True`` weighs the sampling points too (arXiv:1811.11168).
"""

from .mask_rcnn_fpn import model

model.backbone.bottom_up.stages.update(
    deform_on_per_stage=[False, True, True, True], deform_modulated=False, deform_num_groups=1
)
