"""Mesh R-CNN on Pix3D: voxels first, their surface refined in three stages."""

from ..common.meshrcnn_fpn import model
from ..common.pix3d_data import dataloader
from ..common.pix3d_schedule import lr_multiplier, optimizer, train
