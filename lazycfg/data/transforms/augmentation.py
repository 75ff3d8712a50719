"""Augmentations: policies that look at an input, draw random numbers and return a deterministic `Transform`.

Drawing and applying are separate: `augmentation(aug_input, rng)` draws from the generator it is given (never
from a global one), applies the transform to the input and returns it, ready to be applied to annotations,
replayed or inverted. The same generator state gives the same transform.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from .transform import NoOpTransform, Transform, TransformList, image_size


class AugInput:
    """What an augmentation may look at and change.

    Attributes:
        image: tensor (C, H, W), or numpy (H, W, C).
        boxes: (N, 4) XYXY pixels, or None.
        sem_seg: labels (H, W), tensor or numpy, or None.
    """

    def __init__(
        self,
        image: Tensor | np.ndarray,
        *,
        boxes: np.ndarray | None = None,
        sem_seg: Tensor | np.ndarray | None = None,
    ) -> None:
        self.image = image
        self.boxes = boxes
        self.sem_seg = sem_seg

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width)"""
        return image_size(self.image)

    def transform(self, transform: Transform) -> None:
        """Apply a transform to everything here, in place."""
        self.image = transform.apply_image(self.image)
        if self.boxes is not None:
            self.boxes = transform.apply_box(self.boxes)
        if self.sem_seg is not None:
            self.sem_seg = transform.apply_segmentation(self.sem_seg)

    def apply_augmentations(
        self, augmentations: Sequence[Augmentation | Transform], rng: np.random.Generator
    ) -> TransformList:
        """Apply augmentations in turn and return the transforms that were drawn."""
        return AugmentationList(augmentations)(self, rng)


class Augmentation(ABC):
    """Base class: implement `get_transform`."""

    @abstractmethod
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> Transform:
        """Look at the input, draw from `rng`, return the transform. Must not change the input."""

    def __call__(self, aug_input: AugInput, rng: np.random.Generator) -> Transform:
        """Draw a transform, apply it to `aug_input` in place, return it."""
        transform = self.get_transform(aug_input, rng)
        aug_input.transform(transform)
        return transform

    def __repr__(self) -> str:
        fields = ", ".join(f"{k}={v!r}" for k, v in vars(self).items())
        return f"{type(self).__name__}({fields})"


def as_augmentation(item: Augmentation | Transform) -> Augmentation:
    """An augmentation from itself, or one that always returns the given transform."""
    if isinstance(item, Augmentation):
        return item
    if isinstance(item, Transform):
        return _Constant(item)
    raise TypeError(f"expected an Augmentation or a Transform, got {type(item).__name__}: {item!r}")


class _Constant(Augmentation):
    def __init__(self, transform: Transform) -> None:
        self.transform = transform

    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> Transform:
        return self.transform


class AugmentationList(Augmentation):
    """Augmentations (or fixed transforms) in turn: each sees the result of those before it."""

    def __init__(self, augs: Sequence[Augmentation | Transform]) -> None:
        self.augs = [as_augmentation(a) for a in augs]

    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> TransformList:
        return self(AugInput(aug_input.image, boxes=aug_input.boxes, sem_seg=aug_input.sem_seg), rng)

    def __call__(self, aug_input: AugInput, rng: np.random.Generator) -> TransformList:
        return TransformList([a(aug_input, rng) for a in self.augs])

    def __repr__(self) -> str:
        return f"AugmentationList({self.augs})"


class RandomApply(Augmentation):
    """Apply an augmentation (or a transform) with probability `prob`, else nothing."""

    def __init__(self, *, tfm_or_aug: Augmentation | Transform, prob: float = 0.5) -> None:
        if not 0.0 <= prob <= 1.0:
            raise ValueError(f"RandomApply: prob must lie in [0, 1], got {prob}")
        self.aug = as_augmentation(tfm_or_aug)
        self.prob = prob

    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> Transform:
        return self.aug.get_transform(aug_input, rng) if rng.random() < self.prob else NoOpTransform()
