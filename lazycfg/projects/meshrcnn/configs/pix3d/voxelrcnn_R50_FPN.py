"""Mesh R-CNN without its mesh head on Pix3D: meshes are the surface of the voxels."""

from ..common.meshrcnn_fpn import model
from ..common.pix3d_data import dataloader
from ..common.pix3d_schedule import lr_multiplier, optimizer, train

model.roi_heads.mesh_head = None
dataloader.train.mapper.use_meshes = False
