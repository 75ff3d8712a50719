"""Mesh R-CNN on ShapeNet: 48 x 48 x 48 voxels, their surface refined in three stages."""

from lazycfg import LazyCall as L
from lazycfg.layers import ShapeSpec
from lazycfg.projects.meshrcnn import VoxelRCNNConvUpsampleHead, VoxMeshHead

from ..common.shapenet import dataloader, lr_multiplier, optimizer, parts, train

model = L(VoxMeshHead)(
    voxel_head=L(VoxelRCNNConvUpsampleHead)(
        input_shape=ShapeSpec(channels=2048), num_conv=4, conv_dim=256, num_depth=48
    ),
    voxel_size=48,
    cubify_thresh=0.2,
    voxel_only_iters=100,
    **parts(),
)
del parts
