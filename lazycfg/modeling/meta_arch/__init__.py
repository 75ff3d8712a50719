"""Whole models."""

from .dense_detector import DenseDetector
from .fcos import FCOS
from .rcnn import GeneralizedRCNN, ProposalNetwork
from .retinanet import RetinaNet
from .retinanet_head import FCOSHead, RetinaNetHead

__all__ = [
    "FCOS",
    "DenseDetector",
    "FCOSHead",
    "GeneralizedRCNN",
    "ProposalNetwork",
    "RetinaNet",
    "RetinaNetHead",
]
