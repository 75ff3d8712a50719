"""Mesh R-CNN (arXiv:1906.02739): boxes, masks and triangle meshes of objects in an image.

The operations on meshes are part of the library: `lazycfg.structures.Meshes`, `lazycfg.layers.cubify` and its
like.
"""

from lazycfg.projects.meshrcnn.camera import (
    crop_meshes,
    crop_voxels,
    from_unit_box,
    meshes_before_camera,
    place_meshes,
    sight_lines,
    to_unit_box,
)
from lazycfg.projects.meshrcnn.evaluation import Pix3DEvaluator
from lazycfg.projects.meshrcnn.heads import FastRCNNFCHead, MeshRCNNMaskHead, VoxelRCNNConvUpsampleHead
from lazycfg.projects.meshrcnn.mapper import Pix3DMapper
from lazycfg.projects.meshrcnn.mesh_head import (
    MeshRCNNGraphConvHead,
    MeshRCNNGraphConvSubdHead,
    MeshRefinementStage,
)
from lazycfg.projects.meshrcnn.metrics import compare_meshes
from lazycfg.projects.meshrcnn.pix3d import Pix3DDataset
from lazycfg.projects.meshrcnn.roi_heads import MeshRCNNROIHeads
from lazycfg.projects.meshrcnn.shapenet_data import ShapeNetDataset, ShapeNetMapper
from lazycfg.projects.meshrcnn.shapenet_evaluation import ShapeNetEvaluator
from lazycfg.projects.meshrcnn.shapenet_models import (
    MeshLoss,
    MeshRefinementHead,
    Pixel2MeshHead,
    ResNetMaps,
    SphereInitHead,
    VoxMeshHead,
)
from lazycfg.projects.meshrcnn.structures import MeshInstances, VoxelInstances

__all__ = [
    "FastRCNNFCHead",
    "MeshInstances",
    "MeshLoss",
    "MeshRCNNGraphConvHead",
    "MeshRCNNGraphConvSubdHead",
    "MeshRCNNMaskHead",
    "MeshRCNNROIHeads",
    "MeshRefinementHead",
    "MeshRefinementStage",
    "Pix3DDataset",
    "Pix3DEvaluator",
    "Pix3DMapper",
    "Pixel2MeshHead",
    "ResNetMaps",
    "ShapeNetDataset",
    "ShapeNetEvaluator",
    "ShapeNetMapper",
    "SphereInitHead",
    "VoxMeshHead",
    "VoxelInstances",
    "VoxelRCNNConvUpsampleHead",
    "compare_meshes",
    "crop_meshes",
    "crop_voxels",
    "from_unit_box",
    "meshes_before_camera",
    "place_meshes",
    "sight_lines",
    "to_unit_box",
]
