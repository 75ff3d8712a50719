"""Transforms (deterministic) and augmentations (which draw a transform from a given random generator)."""

from .adapters import AlbumentationsAugmentation, TorchvisionAugmentation
from .affine import AffineTransform, RandomAffine
from .augmentation import AugInput, Augmentation, AugmentationList, RandomApply, apply_augmentations
from .augmentation_color import RandomBrightness, RandomContrast, RandomLighting, RandomSaturation
from .augmentation_crop import (
    FixedSizeCrop,
    MinIoURandomCrop,
    RandomCrop,
    RandomCrop_CategoryAreaConstraint,
    RandomIoUCrop,
    RandomZoomOut,
)
from .augmentation_geometric import (
    RandomExtent,
    RandomFlip,
    RandomResize,
    RandomRotation,
    Resize,
    ResizeScale,
    ResizeShortestEdge,
)
from .augmentation_pixels import (
    PhotometricDistortion,
    RandomBlur,
    RandomErasing,
    RandomHSV,
    RandomJPEG,
    RandomNoise,
)
from .color import BlendTransform, ColorTransform, PILColorTransform
from .geometric import (
    CropByCenterTransform,
    CropTransform,
    ExtentTransform,
    GridSampleTransform,
    HFlipTransform,
    PadTransform,
    ResizeTransform,
    RotationTransform,
    ScaleTransform,
    VFlipTransform,
)
from .pixels import (
    BlurTransform,
    EraseTransform,
    HSVTransform,
    JPEGTransform,
    NoiseTransform,
    PhotometricTransform,
)
from .rand_augment import RandAugment
from .transform import NoOpTransform, Transform, TransformList

__all__ = [
    "AffineTransform",
    "AlbumentationsAugmentation",
    "AugInput",
    "Augmentation",
    "AugmentationList",
    "BlendTransform",
    "BlurTransform",
    "ColorTransform",
    "CropByCenterTransform",
    "CropTransform",
    "EraseTransform",
    "ExtentTransform",
    "FixedSizeCrop",
    "GridSampleTransform",
    "HFlipTransform",
    "HSVTransform",
    "JPEGTransform",
    "MinIoURandomCrop",
    "NoOpTransform",
    "NoiseTransform",
    "PILColorTransform",
    "PadTransform",
    "PhotometricDistortion",
    "PhotometricTransform",
    "RandAugment",
    "RandomAffine",
    "RandomApply",
    "RandomBlur",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomCrop_CategoryAreaConstraint",
    "RandomErasing",
    "RandomExtent",
    "RandomFlip",
    "RandomHSV",
    "RandomIoUCrop",
    "RandomJPEG",
    "RandomLighting",
    "RandomNoise",
    "RandomResize",
    "RandomRotation",
    "RandomSaturation",
    "RandomZoomOut",
    "Resize",
    "ResizeScale",
    "ResizeShortestEdge",
    "ResizeTransform",
    "RotationTransform",
    "ScaleTransform",
    "TorchvisionAugmentation",
    "Transform",
    "TransformList",
    "VFlipTransform",
    "apply_augmentations",
]
