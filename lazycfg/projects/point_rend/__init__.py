"""PointRend (arXiv:1912.08193) and Implicit PointRend (arXiv:2104.06404): segmentation as rendering.

What samples maps at points is part of the library: `lazycfg.modeling.point_sample` and its like.
"""

from lazycfg.projects.point_rend.color_augmentation import ColorAugSSDTransform
from lazycfg.projects.point_rend.mask_head import (
    ConvFCHead,
    ImplicitPointRendMaskHead,
    PointRendMaskHead,
)
from lazycfg.projects.point_rend.point_head import (
    ImplicitPointHead,
    StandardPointHead,
    roi_mask_point_loss,
)
from lazycfg.projects.point_rend.semantic_seg import PointRendSemSegHead

__all__ = [
    "ColorAugSSDTransform",
    "ConvFCHead",
    "ImplicitPointHead",
    "ImplicitPointRendMaskHead",
    "PointRendMaskHead",
    "PointRendSemSegHead",
    "StandardPointHead",
    "roi_mask_point_loss",
]
