"""Augmentations: policies that look at an input, draw random numbers and return a deterministic `Transform`.

Drawing and applying are separate: `augmentation(aug_input, rng)` draws from the generator it is given (never
from a global one), applies the transform to the input and returns it, ready to be applied to annotations,
replayed or inverted. The same generator state gives the same transform.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from copy import copy
from functools import cache, wraps
from typing import Any

import numpy as np
from torch import Tensor

from .pixels import ChannelOrder
from .transform import (
    NoOpTransform,
    Transform,
    TransformList,
    check_transform,
    image_size,
    labels_through,
    on_array,
    pixels_through,
    to_hwc,
)


class AugInput:
    """What an augmentation may look at and change.

    Attributes:
        image: tensor (C, H, W), or numpy (H, W, C).
        boxes: (N, 4) XYXY pixels, or None.
        sem_seg: labels (H, W), tensor or numpy, or None.
        channel_order: of the image, "RGB", "BGR", "L" or "raw" (any number of channels); what changes colours
            goes by it.
    """

    def __init__(
        self,
        image: Tensor | np.ndarray,
        *,
        boxes: np.ndarray | None = None,
        sem_seg: Tensor | np.ndarray | None = None,
        channel_order: ChannelOrder = "RGB",
    ) -> None:
        self.image = image
        self.boxes = boxes
        self.sem_seg = sem_seg
        self.channel_order: ChannelOrder = channel_order

    @property
    def image_size(self) -> tuple[int, int]:
        """Return (height, width)."""
        return image_size(self.image)

    def transform(self, transform: Transform) -> None:
        """Apply a transform to everything here, in place."""
        self.image = on_array(lambda image: pixels_through(transform, image), self.image)
        if self.boxes is not None:
            self.boxes = transform.apply_box(self.boxes)
        if self.sem_seg is not None:
            self.sem_seg = on_array(lambda labels: labels_through(transform, labels), self.sem_seg)

    def apply_augmentations(
        self, augmentations: Sequence[Augmentation | Transform], rng: np.random.Generator | None = None
    ) -> TransformList:
        """Apply augmentations in turn and return the transforms that were drawn."""
        return AugmentationList(augmentations)(self, rng)


class Augmentation(ABC):
    """Base class: implement `get_transform`."""

    @abstractmethod
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> Transform:
        """Look at the input, draw from `rng`, return the transform. Must not change the input.

        A subclass names what it wants: any of `aug_input`, `rng`, `image` (numpy, (H, W, C)), `boxes` and
        `sem_seg`, as ``get_transform(self, image, boxes)`` of detectron2. A single argument of another name
        is the image. Without `rng` there is only numpy's global generator, which depends on the workers.
        """

    def __call__(self, aug_input: AugInput, rng: np.random.Generator | None = None) -> Transform:
        """Draw a transform, apply it to `aug_input` in place, return it.

        Args:
            rng: a fresh generator when None.
        """
        transform = draw(self, aug_input, np.random.default_rng() if rng is None else rng)
        aug_input.transform(transform)
        return transform

    def __repr__(self) -> str:
        fields = ", ".join(f"{k}={v!r}" for k, v in vars(self).items())
        return f"{type(self).__name__}({fields})"


def from_image(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let a `get_transform(self, aug_input, rng)` be called with an image alone, and without a generator."""

    @wraps(method)
    def get_transform(
        self: Any, aug_input: AugInput | Tensor | np.ndarray, rng: np.random.Generator | None = None
    ) -> Any:
        if not isinstance(aug_input, AugInput):
            aug_input = AugInput(aug_input)
        return method(self, aug_input, np.random.default_rng() if rng is None else rng)

    return get_transform


def draw(augmentation: Augmentation, aug_input: AugInput, rng: np.random.Generator) -> Transform:
    """Call `get_transform` of an augmentation with the arguments that it names.

    Raises:
        TypeError: it gives no transform.
    """
    arguments: dict[str, Any] = {"aug_input": aug_input, "rng": rng}
    names = wanted_arguments(type(augmentation).get_transform)
    if any(source == "image" for source in names.values()):
        arguments["image"] = to_hwc(aug_input.image)
    arguments |= {"boxes": aug_input.boxes, "sem_seg": aug_input.sem_seg}
    given = {name: arguments[source] for name, source in names.items()}
    transform: Any = augmentation.get_transform(**given)
    if not isinstance(transform, Transform):
        raise TypeError(
            f"{type(augmentation).__name__}.get_transform must return a Transform, got "
            f"{type(transform).__name__}"
        )
    return transform


_SOURCES = ("aug_input", "rng", "image", "boxes", "sem_seg")


@cache
def wanted_arguments(get_transform: Callable[..., Any]) -> dict[str, str]:
    """Return what the arguments of a `get_transform` stand for, by name.

    Raises:
        TypeError: an argument of unknown meaning, or one that can only be given by position.
    """
    parameters = list(inspect.signature(get_transform).parameters.values())[1:]
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    result = {p.name: p.name for p in named if p.name in _SOURCES}
    required = [
        p for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    unknown = [p.name for p in required if p.name not in result]
    if unknown and len(required) == 1 and required[0] in named:
        result[unknown[0]] = "image"
        unknown = []
    if unknown:
        raise TypeError(
            f"{get_transform.__qualname__} has the argument {unknown[0]!r}; it can have {', '.join(_SOURCES)}"
        )
    return result


def as_augmentation(item: Augmentation | Transform) -> Augmentation:
    """Return an augmentation: itself, or one that always gives the transform `item`.

    Raises:
        TypeError: it is neither, or one whose methods cannot be called.
    """
    if isinstance(item, Augmentation):
        wanted_arguments(type(item).get_transform)
        return item
    if isinstance(item, Transform):
        check_transform(item)
        return _Constant(item)
    if isinstance(item, type) and (issubclass(item, Augmentation | Transform) or hasattr(item, "mix")):
        raise TypeError(
            f"{item.__name__} is a class: write {item.__name__}(...), in a config L({item.__name__})(...) or "
            f"{{_target_: @{item.__module__}.{item.__qualname__}, ...}}"
        )
    if hasattr(item, "mix"):
        raise TypeError(
            f"{type(item).__name__} makes one image of several: it can stand in DatasetMapper(augmentations="
            "[...]) and in `others` of its like, not within another augmentation"
        )
    hint = "; wrap a function of colours as ColorTransform(op)" if callable(item) else ""
    raise TypeError(f"expected an Augmentation or a Transform, got {type(item).__name__}: {item!r}{hint}")


class _Constant(Augmentation):
    def __init__(self, transform: Transform) -> None:
        self.transform = transform

    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> Transform:
        """Return the transform."""
        return self.transform


class AugmentationList(Augmentation):
    """Augmentations (or fixed transforms) in turn: each sees the result of those before it."""

    def __init__(self, augs: Sequence[Augmentation | Transform]) -> None:
        if not isinstance(augs, list | tuple):
            raise TypeError(f"expected a list of augmentations, got {type(augs).__name__}: {augs!r}")
        self.augs = [as_augmentation(a) for a in augs]

    @from_image
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> TransformList:
        """Return the transforms drawn in turn, each for the result of those before; keep the input."""
        return self(copy(aug_input), rng)

    def __call__(self, aug_input: AugInput, rng: np.random.Generator | None = None) -> TransformList:
        rng = np.random.default_rng() if rng is None else rng
        return TransformList([a(aug_input, rng) for a in self.augs])

    def __repr__(self) -> str:
        return f"AugmentationList({self.augs})"


class RandomApply(Augmentation):
    """Apply an augmentation (or a transform) with probability `prob`, else nothing."""

    def __init__(self, tfm_or_aug: Augmentation | Transform, prob: float = 0.5) -> None:
        if not 0.0 <= prob <= 1.0:
            raise ValueError(f"RandomApply: prob must lie in [0, 1], got {prob}")
        self.aug = as_augmentation(tfm_or_aug)
        self.prob = prob

    @from_image
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> Transform:
        """Return the transform of the augmentation with probability `prob`, else one that does nothing."""
        return draw(self.aug, aug_input, rng) if rng.random() < self.prob else NoOpTransform()

    def __repr__(self) -> str:
        return f"RandomApply(tfm_or_aug={self.aug!r}, prob={self.prob!r})"


def apply_augmentations(
    augmentations: Sequence[Augmentation | Transform],
    inputs: AugInput | Tensor | np.ndarray,
    rng: np.random.Generator | None = None,
) -> tuple[Any, TransformList]:
    """Apply augmentations in turn, to an image or to an input with boxes and labels.

    Args:
        augmentations: in their order.
        inputs: an `AugInput`, which is changed in place, or an image: tensor (C, H, W), or numpy (H, W, C).
        rng: a fresh generator when None.

    Returns:
        the input, or the new image; and the transforms that were drawn, for annotations.
    """
    if isinstance(inputs, AugInput):
        return inputs, inputs.apply_augmentations(augmentations, rng)
    given = AugInput(inputs)
    transforms = given.apply_augmentations(augmentations, rng)
    return given.image, transforms
