"""Panoptic-DeepLab (arXiv:1911.10194)."""

from lazycfg.modeling.center_grouping import (
    find_instance_center,
    get_instance_segmentation,
    get_panoptic_segmentation,
    group_pixels,
    instances_of_panoptic,
    merge_semantic_and_instance,
)
from lazycfg.projects.panoptic_deeplab.heads import PanopticDeepLabInsEmbedHead, PanopticDeepLabSemSegHead
from lazycfg.projects.panoptic_deeplab.mapper import PanopticDeeplabDatasetMapper
from lazycfg.projects.panoptic_deeplab.panoptic_deeplab import PanopticDeepLab
from lazycfg.projects.panoptic_deeplab.targets import PanopticDeepLabTargetGenerator

__all__ = [
    "PanopticDeepLab",
    "PanopticDeepLabInsEmbedHead",
    "PanopticDeepLabSemSegHead",
    "PanopticDeepLabTargetGenerator",
    "PanopticDeeplabDatasetMapper",
    "find_instance_center",
    "get_instance_segmentation",
    "get_panoptic_segmentation",
    "group_pixels",
    "instances_of_panoptic",
    "merge_semantic_and_instance",
]
