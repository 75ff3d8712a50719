"""The models of DensePose."""

from . import heads, losses, predictors
from .confidence import (
    DensePoseConfidenceModelConfig,
    DensePoseSegmConfidenceConfig,
    DensePoseUVConfidenceConfig,
    DensePoseUVConfidenceType,
)
from .decoder import Decoder
from .filter import DensePoseDataFilter
from .heads import *  # noqa: F403
from .hrfpn import HRFPN
from .hrnet import PoseHigherResolutionNet
from .losses import *  # noqa: F403
from .predictors import *  # noqa: F403
from .roi_heads import DensePoseROIHeads, densepose_inference
from .test_time_augmentation import DensePoseGeneralizedRCNNWithTTA

__all__ = [
    "HRFPN",
    "Decoder",
    "DensePoseConfidenceModelConfig",
    "DensePoseDataFilter",
    "DensePoseGeneralizedRCNNWithTTA",
    "DensePoseROIHeads",
    "DensePoseSegmConfidenceConfig",
    "DensePoseUVConfidenceConfig",
    "DensePoseUVConfidenceType",
    "PoseHigherResolutionNet",
    "densepose_inference",
]
__all__ += heads.__all__
__all__ += losses.__all__
__all__ += predictors.__all__
