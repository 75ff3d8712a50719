"""Transforms (deterministic) and augmentations (which draw a transform from a given random generator)."""

from .augmentation import AugInput, Augmentation, AugmentationList, RandomApply
from .augmentation_color import RandomBrightness, RandomContrast, RandomLighting, RandomSaturation
from .augmentation_crop import FixedSizeCrop, MinIoURandomCrop, RandomCrop, RandomCrop_CategoryAreaConstraint
from .augmentation_geometric import (
    RandomExtent,
    RandomFlip,
    RandomResize,
    RandomRotation,
    Resize,
    ResizeScale,
    ResizeShortestEdge,
)
from .color import BlendTransform, ColorTransform, PILColorTransform
from .geometric import (
    CropTransform,
    ExtentTransform,
    HFlipTransform,
    PadTransform,
    ResizeTransform,
    RotationTransform,
    ScaleTransform,
    VFlipTransform,
)
from .transform import NoOpTransform, Transform, TransformList

__all__ = [
    "AugInput",
    "Augmentation",
    "AugmentationList",
    "BlendTransform",
    "ColorTransform",
    "CropTransform",
    "ExtentTransform",
    "FixedSizeCrop",
    "HFlipTransform",
    "MinIoURandomCrop",
    "NoOpTransform",
    "PILColorTransform",
    "PadTransform",
    "RandomApply",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomCrop_CategoryAreaConstraint",
    "RandomExtent",
    "RandomFlip",
    "RandomLighting",
    "RandomResize",
    "RandomRotation",
    "RandomSaturation",
    "Resize",
    "ResizeScale",
    "ResizeShortestEdge",
    "ResizeTransform",
    "RotationTransform",
    "ScaleTransform",
    "Transform",
    "TransformList",
    "VFlipTransform",
]
