"""Mesh R-CNN as Pixel2Mesh on Pix3D: a sphere of 162 vertices, each triangle cut into four between the three
stages of refinement."""

from lazycfg.projects.meshrcnn import MeshRCNNGraphConvSubdHead

from ..common.meshrcnn_fpn import model
from ..common.pix3d_data import dataloader
from ..common.pix3d_schedule import lr_multiplier, optimizer, train

model.roi_heads.voxel_head = None
model.roi_heads.ico_sphere_level = 2
model.roi_heads.mesh_head._target_ = MeshRCNNGraphConvSubdHead
dataloader.train.mapper.use_voxels = False
