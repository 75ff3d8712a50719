"""Heads that look at regions."""

from .base import ROIHeads
from .box_head import FastRCNNConvFCHead
from .cascade import CascadeROIHeads
from .detections import fast_rcnn_inference
from .fast_rcnn import FastRCNNOutputLayers
from .keypoint_head import BaseKeypointRCNNHead, KRCNNConvDeconvUpsampleHead
from .mask_head import BaseMaskRCNNHead, MaskRCNNConvUpsampleHead, mask_rcnn_inference, mask_rcnn_loss
from .res5 import Res5ROIHeads
from .rotated import RotatedFastRCNNOutputLayers, RROIHeads, fast_rcnn_inference_rotated
from .sampled import select_foreground_proposals, select_proposals_with_visible_keypoints
from .standard import StandardROIHeads

__all__ = [
    "BaseKeypointRCNNHead",
    "BaseMaskRCNNHead",
    "CascadeROIHeads",
    "FastRCNNConvFCHead",
    "FastRCNNOutputLayers",
    "KRCNNConvDeconvUpsampleHead",
    "MaskRCNNConvUpsampleHead",
    "ROIHeads",
    "RROIHeads",
    "Res5ROIHeads",
    "RotatedFastRCNNOutputLayers",
    "StandardROIHeads",
    "fast_rcnn_inference",
    "fast_rcnn_inference_rotated",
    "mask_rcnn_inference",
    "mask_rcnn_loss",
    "select_foreground_proposals",
    "select_proposals_with_visible_keypoints",
]
