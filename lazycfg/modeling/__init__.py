"""Models and their parts."""

from lazycfg.layers import fuse

from . import backbone, meta_arch, proposal_generator, roi_heads
from .anchor_generator import DefaultAnchorGenerator, RotatedAnchorGenerator, TorchvisionAnchorGenerator
from .backbone import *  # noqa: F403
from .box_regression import Box2BoxTransform, Box2BoxTransformLinear, Box2BoxTransformRotated
from .data_needs import DataNeeds, TellsDataNeeds
from .matcher import Matcher
from .meta_arch import *  # noqa: F403
from .mmdet_wrapper import MMDetDetector
from .point_features import (
    generate_regular_grid_point_coords,
    get_point_coords_wrt_image,
    get_uncertain_point_coords_on_grid,
    get_uncertain_point_coords_with_randomness,
    point_sample,
    point_sample_fine_grained_features,
    sample_point_labels,
)
from .poolers import ROIPooler, assign_boxes_to_levels
from .postprocessing import detector_postprocess, sem_seg_postprocess
from .proposal_generator import *  # noqa: F403
from .protocols import BoxHead, BoxPredictor, MaskHead, ProposalGenerator, RegionHeads, RegionPooler
from .roi_heads import *  # noqa: F403
from .sampling import subsample_labels
from .test_time_augmentation import DatasetMapperTTA, GeneralizedRCNNWithTTA
from .tiled_inference import TiledInference

__all__ = [
    "Box2BoxTransform",
    "Box2BoxTransformLinear",
    "Box2BoxTransformRotated",
    "BoxHead",
    "BoxPredictor",
    "DataNeeds",
    "DatasetMapperTTA",
    "DefaultAnchorGenerator",
    "GeneralizedRCNNWithTTA",
    "MMDetDetector",
    "MaskHead",
    "Matcher",
    "ProposalGenerator",
    "ROIPooler",
    "RegionHeads",
    "RegionPooler",
    "RotatedAnchorGenerator",
    "TellsDataNeeds",
    "TiledInference",
    "TorchvisionAnchorGenerator",
    "assign_boxes_to_levels",
    "detector_postprocess",
    "fuse",
    "generate_regular_grid_point_coords",
    "get_point_coords_wrt_image",
    "get_uncertain_point_coords_on_grid",
    "get_uncertain_point_coords_with_randomness",
    "point_sample",
    "point_sample_fine_grained_features",
    "sample_point_labels",
    "sem_seg_postprocess",
    "subsample_labels",
]
__all__ += backbone.__all__
__all__ += meta_arch.__all__
__all__ += proposal_generator.__all__
__all__ += roi_heads.__all__
