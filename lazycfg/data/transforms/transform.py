"""Deterministic transforms: what is done to an image is done alike to its boxes, points, masks and polygons.

A `Transform` has no randomness of its own (an `Augmentation` draws, a `Transform` applies), so it can be
kept, replayed on other data and inverted.

Coordinates are continuous pixels: pixel (0, 0) covers the square from (0, 0) to (1, 1), its centre is (0.5,
0.5). Images are tensors of shape (C, H, W); numpy arrays (H, W, C) or (H, W) are taken too and given back
as such.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

ImageT = TypeVar("ImageT", Tensor, np.ndarray)


def on_array(function: Callable[[Tensor], Tensor], image: ImageT) -> ImageT:
    """Apply a function of a (..., H, W) tensor to a tensor, or to a numpy (H, W, C) or (H, W) array."""
    if isinstance(image, Tensor):
        return function(image)
    result = function(to_chw(image))
    return result[0].numpy() if image.ndim == 2 else np.ascontiguousarray(result.permute(1, 2, 0).numpy())


def to_chw(image: Tensor | np.ndarray) -> Tensor:
    """Return the tensor (C, H, W) of a tensor, or of a numpy array (H, W, C) or (H, W)."""
    if isinstance(image, Tensor):
        return image
    tensor = torch.from_numpy(np.ascontiguousarray(image))
    return tensor[None] if image.ndim == 2 else tensor.permute(2, 0, 1)


def to_hwc(image: Tensor | np.ndarray) -> np.ndarray:
    """Return the numpy array (H, W, C) or (H, W) of a tensor (C, H, W) or (H, W), or the array itself."""
    if not isinstance(image, Tensor):
        return image
    return (image if image.ndim == 2 else image.permute(1, 2, 0)).contiguous().numpy()


def image_size(image: Tensor | np.ndarray) -> tuple[int, int]:
    """Return (height, width) of a tensor (..., H, W) or an array (H, W[, C])."""
    shape = image.shape[-2:] if isinstance(image, Tensor) else image.shape[:2]
    return int(shape[0]), int(shape[1])


class Transform(ABC):
    """Base class. A subclass says what happens to pixels (`transform_image`) and to points (`apply_coords`).

    What happens to segmentations, boxes and polygons follows from these two; a subclass overrides
    `transform_segmentation`, `apply_box` or `apply_polygons` only where it knows better.

    A subclass written for detectron2 may say what happens to numpy arrays instead: `apply_image` for
    (H, W, C) and (H, W), perhaps `apply_segmentation` for (H, W).
    """

    swaps_sides = False
    """Whether it exchanges left and right, so that keypoints take each other's place."""

    def transform_image(self, image: Tensor) -> Tensor:
        """Pixels of a tensor (..., H, W), any dtype the transform can work on."""
        check_transform(self)
        return _through_numpy(self.apply_image, image)

    @abstractmethod
    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        """Points (N, 2) as (x, y) in pixels to points (N, 2), floating point."""

    def transform_segmentation(self, segmentation: Tensor) -> Tensor:
        """Labels of a tensor (..., H, W); never blends two labels."""
        return pixels_through(self, segmentation)

    def apply_image(self, image: ImageT) -> ImageT:
        """Picture in, image out: tensor (..., H, W), or numpy (H, W, C) / (H, W)."""
        return on_array(self.transform_image, image)

    def apply_segmentation(self, segmentation: ImageT) -> ImageT:
        """Label map or bit mask in, the same out: tensor (..., H, W) or numpy (H, W)."""
        return on_array(self.transform_segmentation, segmentation)

    def apply_box(self, box: np.ndarray) -> np.ndarray:
        """Boxes (N, 4) XYXY to the boxes (N, 4) around their four transformed corners. Not clipped."""
        box = np.asarray(box, dtype=np.float64).reshape(-1, 4)
        corners = box[:, [0, 1, 2, 1, 0, 3, 2, 3]].reshape(-1, 2)
        corners = self.apply_coords(corners).reshape(-1, 4, 2)
        return np.concatenate((corners.min(axis=1), corners.max(axis=1)), axis=1)

    def apply_rotated_box(self, box: np.ndarray) -> np.ndarray:
        """Rotated boxes (N, 5) (xc, yc, width, height, degrees counter-clockwise) to such boxes. Not clipped.

        The sides become as long as those of the moved box. Where these do not stay at a right angle, the new
        box is turned like the moved height.
        """
        box = np.asarray(box, dtype=np.float64).reshape(-1, 5)
        center, theta = box[:, :2], np.radians(box[:, 4])
        along_width = np.stack((np.cos(theta), -np.sin(theta)), axis=1) * box[:, 2:3]
        down = np.stack((np.sin(theta), np.cos(theta)), axis=1)  # the y axis points down
        points = np.concatenate((center, center + along_width, center + down))
        center, width_end, down_end = np.split(self.apply_coords(points), 3)
        down = down_end - center
        width = np.linalg.norm(width_end - center, axis=1)
        height = np.linalg.norm(down, axis=1) * box[:, 3]
        angle = np.degrees(np.arctan2(down[:, 0], down[:, 1]))
        return np.column_stack((center, width, height, angle))

    def apply_polygons(self, polygons: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Transform polygons, each (K, 2) in pixels, into as many polygons; one that leaves a crop becomes
        (0, 2).
        """
        if len(polygons) == 0:
            return []
        arrays = [np.asarray(p, dtype=np.float64).reshape(-1, 2) for p in polygons]
        moved = self.apply_coords(np.concatenate(arrays))
        return np.split(moved, np.cumsum([len(a) for a in arrays])[:-1])

    def inverse(self) -> Transform:
        """Return the transform that undoes this one geometrically; lost colours and cropped pixels do not
        come back.

        Raises:
            TypeError: this transform cannot be undone.
        """
        raise TypeError(f"{type(self).__name__} has no inverse")

    def __add__(self, other: Transform) -> TransformList:
        return TransformList([self, other])


def check_transform(transform: Transform) -> None:
    """Raise TypeError for a transform that does not say what happens to pixels."""
    cls = type(transform)
    if cls.transform_image is Transform.transform_image and cls.apply_image is Transform.apply_image:
        raise TypeError(f"{cls.__name__} says nothing about images: implement transform_image or apply_image")


def pixels_through(transform: Transform, image: Tensor) -> Tensor:
    """Apply a transform to the pixels of a tensor (C, H, W), by its own `apply_image` if it has one."""
    if type(transform).apply_image is not Transform.apply_image:
        return _through_numpy(transform.apply_image, image)
    return transform.transform_image(image)


def labels_through(transform: Transform, segmentation: Tensor) -> Tensor:
    """Apply a transform to the labels of a tensor (H, W), by its own `apply_segmentation` if it has one."""
    if type(transform).apply_segmentation is not Transform.apply_segmentation:
        return _through_numpy(transform.apply_segmentation, segmentation)
    return transform.transform_segmentation(segmentation)


def _through_numpy(function: Callable[[np.ndarray], np.ndarray], image: Tensor) -> Tensor:
    """Apply a function of an array (H, W, C), or (H, W) for one channel, to a tensor (C, H, W) or (H, W)."""
    one = image.ndim == 2 or len(image) == 1
    array = image.reshape(image.shape[-2:]) if one else image
    result = torch.from_numpy(np.ascontiguousarray(function(to_hwc(array))))
    return result.reshape(*image.shape[:-2], *result.shape[:2]) if one else result.permute(2, 0, 1)


class TransformList(Transform):
    """Transforms applied one after another; nested lists are flattened."""

    def __init__(self, transforms: Iterable[Transform]) -> None:
        self.transforms: list[Transform] = []
        for t in transforms:
            if not isinstance(t, Transform):
                raise TypeError(f"TransformList holds Transform objects, got {type(t).__name__}: {t!r}")
            if isinstance(t, TransformList):
                self.transforms.extend(t.transforms)
            elif not isinstance(t, NoOpTransform):
                self.transforms.append(t)

    def transform_image(self, image: Tensor) -> Tensor:
        """Apply all transforms in turn to pixels (..., H, W)."""
        for t in self.transforms:
            image = pixels_through(t, image)
        return image

    def transform_segmentation(self, segmentation: Tensor) -> Tensor:
        """Apply all transforms in turn to labels (..., H, W)."""
        for t in self.transforms:
            segmentation = labels_through(t, segmentation)
        return segmentation

    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        """Apply all transforms in turn to points (N, 2)."""
        for t in self.transforms:
            coords = t.apply_coords(coords)
        return coords

    def apply_box(self, box: np.ndarray) -> np.ndarray:
        """Apply all transforms in turn to boxes (N, 4)."""
        for t in self.transforms:
            box = t.apply_box(box)
        return np.asarray(box, dtype=np.float64).reshape(-1, 4)

    def apply_rotated_box(self, box: np.ndarray) -> np.ndarray:
        """Apply all transforms in turn to rotated boxes (N, 5)."""
        box = np.asarray(box, dtype=np.float64).reshape(-1, 5)
        for t in self.transforms:
            box = t.apply_rotated_box(box)
        return box

    def apply_polygons(self, polygons: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Apply all transforms in turn to polygons, each (K, 2)."""
        for t in self.transforms:
            polygons = t.apply_polygons(polygons)
        return list(polygons)

    def inverse(self) -> TransformList:
        """Return the inverse transforms in the opposite order."""
        return TransformList([t.inverse() for t in reversed(self.transforms)])

    def __len__(self) -> int:
        return len(self.transforms)

    def __iter__(self) -> Iterator[Transform]:
        return iter(self.transforms)

    def __getitem__(self, index: int) -> Transform:
        return self.transforms[index]

    def __repr__(self) -> str:
        return f"TransformList({self.transforms})"


class NoOpTransform(Transform):
    """Changes nothing."""

    def transform_image(self, image: Tensor) -> Tensor:
        """Return the pixels (..., H, W) unchanged."""
        return image

    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        """Return the points (N, 2) unchanged."""
        return coords

    def apply_box(self, box: np.ndarray) -> np.ndarray:
        """Return the boxes (N, 4) unchanged."""
        return np.asarray(box, dtype=np.float64).reshape(-1, 4)

    def inverse(self) -> NoOpTransform:
        """Return the same transform."""
        return self

    def __repr__(self) -> str:
        return "NoOpTransform()"


class ColorTransformBase(Transform):
    """A change of colours: places and labels stay as they are, the inverse is no change."""

    def transform_segmentation(self, segmentation: Tensor) -> Tensor:
        """Return the labels (..., H, W) unchanged."""
        return segmentation

    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        """Return the points (N, 2) unchanged."""
        return coords

    def inverse(self) -> NoOpTransform:
        """Return a transform that does nothing: geometrically there is nothing to undo."""
        return NoOpTransform()
