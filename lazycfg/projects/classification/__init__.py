"""Classification of whole images: how another task than detection is made of the same training."""

from .data import (
    CenterCrop,
    ClassificationMapper,
    ImageFolders,
    RandomResizedCrop,
    build_classification_train_loader,
)
from .model import ClassificationAccuracy, ClassificationNet

__all__ = [
    "CenterCrop",
    "ClassificationAccuracy",
    "ClassificationMapper",
    "ClassificationNet",
    "ImageFolders",
    "RandomResizedCrop",
    "build_classification_train_loader",
]
