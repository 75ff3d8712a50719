"""Operations on triangle meshes and clouds of points, in plain torch."""

from .cubify import cubify
from .distances import chamfer_distance, knn_points
from .graph import GraphConv, SubdivideMeshes, vert_align
from .losses import mesh_edge_loss, mesh_laplacian_smoothing, mesh_normal_consistency
from .sampling import sample_points_from_meshes
from .sphere import ico_sphere

__all__ = [
    "GraphConv",
    "SubdivideMeshes",
    "chamfer_distance",
    "cubify",
    "ico_sphere",
    "knn_points",
    "mesh_edge_loss",
    "mesh_laplacian_smoothing",
    "mesh_normal_consistency",
    "sample_points_from_meshes",
    "vert_align",
]
