"""Mesh R-CNN on a feature pyramid over ResNet-50: the zoo's Mask R-CNN with heads for shapes."""

from typing import Any

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.layers import ShapeSpec
from lazycfg.model_zoo.common.models.mask_rcnn_fpn import model
from lazycfg.modeling import ROIPooler
from lazycfg.projects.meshrcnn import (
    FastRCNNFCHead,
    MeshRCNNGraphConvHead,
    MeshRCNNMaskHead,
    MeshRCNNROIHeads,
    VoxelRCNNConvUpsampleHead,
)

_features = ["p2", "p3", "p4", "p5"]


def pooler(side: int) -> Any:
    """Regions of so many cells a side, as detectron2 pooled them at first."""
    return L(ROIPooler)(
        output_size=side,
        scales=(1.0 / 4, 1.0 / 8, 1.0 / 16, 1.0 / 32),
        sampling_ratio=2,
        pooler_type="ROIAlign",
    )


model.backbone.bottom_up.freeze_at = 2
# Anchors of an overlap below 0.2 are not trained on either.
model.proposal_generator.anchor_matcher.update(thresholds=[0.2, 0.5, 0.7], labels=[-1, 0, -1, 1])
model.proposal_generator.smooth_l1_beta = 0.111

heads = model.roi_heads
heads._target_ = MeshRCNNROIHeads
heads.update(num_classes=9, batch_size_per_image=64)
heads.proposal_matcher.update(thresholds=[0.2, 0.5], labels=[-1, 0, 1])
heads.box_pooler = pooler(7)
heads.box_predictor.smooth_l1_beta = 1.0
heads.mask_pooler = pooler(14)
heads.mask_head._target_ = MeshRCNNMaskHead

heads.z_in_features = _features
heads.z_pooler = pooler(7)
heads.z_head = L(FastRCNNFCHead)(
    input_shape=ShapeSpec(channels=256, height=7, width=7),
    num_classes=ref("..num_classes"),
    num_fc=2,
    fc_dim=1024,
    smooth_l1_beta=1.0,
    loss_weight=1.0,
)
heads.voxel_in_features = _features
heads.voxel_pooler = pooler(12)
heads.voxel_head = L(VoxelRCNNConvUpsampleHead)(
    input_shape=ShapeSpec(channels=256, height=12, width=12),
    num_conv=4,
    conv_dim=256,
    num_depth=24,
    loss_weight=3.0,
)
heads.cubify_thresh = 0.2
heads.mesh_in_features = _features
heads.mesh_pooler = pooler(14)
heads.mesh_head = L(MeshRCNNGraphConvHead)(
    input_channels=256, num_stages=3, num_graph_convs=3, graph_conv_dim=128, graph_conv_init="normal"
)
del heads
