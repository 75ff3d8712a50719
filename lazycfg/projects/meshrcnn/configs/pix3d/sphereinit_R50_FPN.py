"""Mesh R-CNN without voxels on Pix3D: a sphere of 2,562 vertices is refined in three stages."""

from ..common.meshrcnn_fpn import model
from ..common.pix3d_data import dataloader
from ..common.pix3d_schedule import lr_multiplier, optimizer, train

model.roi_heads.voxel_head = None
model.roi_heads.ico_sphere_level = 4
dataloader.train.mapper.use_voxels = False
