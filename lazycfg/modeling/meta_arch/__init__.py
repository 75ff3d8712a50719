"""Whole models."""

from .deeplab_heads import DeepLabV3Head, DeepLabV3PlusHead
from .dense_detector import DenseDetector
from .fcos import FCOS
from .panoptic_fpn import PanopticFPN
from .panoptic_merge import combine_semantic_and_instance_outputs
from .rcnn import GeneralizedRCNN, ProposalNetwork
from .retinanet import RetinaNet
from .retinanet_head import FCOSHead, RetinaNetHead
from .sem_seg_head import SemSegFPNHead
from .semantic_segmentor import SemanticSegmentor

__all__ = [
    "FCOS",
    "DeepLabV3Head",
    "DeepLabV3PlusHead",
    "DenseDetector",
    "FCOSHead",
    "GeneralizedRCNN",
    "PanopticFPN",
    "ProposalNetwork",
    "RetinaNet",
    "RetinaNetHead",
    "SemSegFPNHead",
    "SemanticSegmentor",
    "combine_semantic_and_instance_outputs",
]
