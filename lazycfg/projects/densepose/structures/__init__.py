"""Annotations, outputs and results of DensePose."""

from .annotations import MESH_NAMES, DensePoseDataRelative, DensePoseList

__all__ = ["MESH_NAMES", "DensePoseDataRelative", "DensePoseList"]
