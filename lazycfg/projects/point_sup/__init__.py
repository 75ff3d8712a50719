"""PointSup (arXiv:2104.06404): instance segmentation learned from boxes and a few labelled points."""

from lazycfg.projects.point_sup.dataset_mapper import PointSupDatasetMapper
from lazycfg.projects.point_sup.datasets import CocoPointsDataset, PointsFromMasks
from lazycfg.projects.point_sup.mask_head import (
    ImplicitPointRendPointSupHead,
    MaskRCNNConvUpsamplePointSupHead,
)
from lazycfg.projects.point_sup.point_utils import (
    get_point_coords_from_point_annotation,
    get_point_coords_wrt_box,
)

__all__ = [
    "CocoPointsDataset",
    "ImplicitPointRendPointSupHead",
    "MaskRCNNConvUpsamplePointSupHead",
    "PointSupDatasetMapper",
    "PointsFromMasks",
    "get_point_coords_from_point_annotation",
    "get_point_coords_wrt_box",
]
