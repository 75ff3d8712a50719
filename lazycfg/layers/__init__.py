"""Tensor operations and small modules: NMS, ROI pooling, losses, normalization, meshes."""

from .aspp import ASPP
from .batch_norm import (
    CycleBatchNormList,
    FrozenBatchNorm2d,
    LayerNorm,
    NaiveSyncBatchNorm,
    get_norm,
)
from .blocks import CNNBlockBase, DepthwiseSeparableConv2d
from .deform_conv import DeformConv, ModulatedDeformConv
from .fusion import fuse
from .losses import (
    DeepLabCE,
    ciou_loss,
    diou_loss,
    giou_loss,
    pixel_cross_entropy,
    sigmoid_focal_loss,
    smooth_l1_loss,
)
from .mask_ops import MaskCrop, pad_masks, paste_masks_in_boxes, paste_masks_in_image, scale_boxes
from .mesh import (
    GraphConv,
    SubdivideMeshes,
    chamfer_distance,
    cubify,
    ico_sphere,
    knn_points,
    mesh_edge_loss,
    mesh_laplacian_smoothing,
    mesh_normal_consistency,
    sample_points_from_meshes,
    vert_align,
)
from .nms import batched_nms, batched_nms_ios, batched_nms_rotated, nms, nms_rotated
from .roi_align import ROIAlign, roi_align
from .roi_align_rotated import ROIAlignRotated, roi_align_rotated
from .rotated_boxes import pairwise_iou_rotated
from .shape_spec import ShapeSpec
from .weight_init import c2_msra_fill, c2_xavier_fill
from .wrappers import (
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    Linear,
    cat,
    cross_entropy,
    empty_input_loss_func_wrapper,
    interpolate,
    move_device_like,
    nonzero_tuple,
    shapes_to_tensor,
)

__all__ = [
    "ASPP",
    "BatchNorm2d",
    "CNNBlockBase",
    "Conv2d",
    "ConvTranspose2d",
    "CycleBatchNormList",
    "DeepLabCE",
    "DeformConv",
    "DepthwiseSeparableConv2d",
    "FrozenBatchNorm2d",
    "GraphConv",
    "LayerNorm",
    "Linear",
    "MaskCrop",
    "ModulatedDeformConv",
    "NaiveSyncBatchNorm",
    "ROIAlign",
    "ROIAlignRotated",
    "ShapeSpec",
    "SubdivideMeshes",
    "batched_nms",
    "batched_nms_ios",
    "batched_nms_rotated",
    "c2_msra_fill",
    "c2_xavier_fill",
    "cat",
    "chamfer_distance",
    "ciou_loss",
    "cross_entropy",
    "cubify",
    "diou_loss",
    "empty_input_loss_func_wrapper",
    "fuse",
    "get_norm",
    "giou_loss",
    "ico_sphere",
    "interpolate",
    "knn_points",
    "mesh_edge_loss",
    "mesh_laplacian_smoothing",
    "mesh_normal_consistency",
    "move_device_like",
    "nms",
    "nms_rotated",
    "nonzero_tuple",
    "pad_masks",
    "pairwise_iou_rotated",
    "paste_masks_in_boxes",
    "paste_masks_in_image",
    "pixel_cross_entropy",
    "roi_align",
    "roi_align_rotated",
    "sample_points_from_meshes",
    "scale_boxes",
    "shapes_to_tensor",
    "sigmoid_focal_loss",
    "smooth_l1_loss",
    "vert_align",
]
