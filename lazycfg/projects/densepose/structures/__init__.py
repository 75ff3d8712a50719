"""Annotations, outputs and results of DensePose."""

from .annotations import MESH_NAMES, DensePoseDataRelative, DensePoseList
from .moving import transform_densepose
from .symmetry import DensePoseFileError, DensePoseTransformData

__all__ = [
    "MESH_NAMES",
    "DensePoseDataRelative",
    "DensePoseFileError",
    "DensePoseList",
    "DensePoseTransformData",
    "transform_densepose",
]
