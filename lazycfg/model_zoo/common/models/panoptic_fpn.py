"""Panoptic FPN (arXiv:1901.02446): the zoo's Mask R-CNN with a semantic head."""

from lazycfg import LazyCall as L
from lazycfg.layers import ShapeSpec
from lazycfg.modeling import PanopticFPN, SemSegFPNHead

from .mask_rcnn_fpn import model

model._target_ = PanopticFPN
model.sem_seg_head = L(SemSegFPNHead)(
    input_shape={
        name: ShapeSpec(channels=256, stride=stride)
        for name, stride in [("p2", 4), ("p3", 8), ("p4", 16), ("p5", 32)]
    },
    ignore_value=255,
    num_classes=54,  # COCO's stuff, and one class for all things
    conv_dims=128,
    common_stride=4,
    loss_weight=0.5,
    norm="GN",
)
model.combine_overlap_thresh = 0.5
model.combine_stuff_area_thresh = 4096
model.combine_instances_score_thresh = 0.5
