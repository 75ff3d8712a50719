"""Random crops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from torch import Tensor

from .augmentation import AugInput, Augmentation, from_image
from .checks import check_count, check_number, check_probability, check_range
from .geometric import CropByCenterTransform, CropTransform, PadTransform
from .transform import NoOpTransform, Transform, TransformList

CropType = Literal["relative_range", "relative", "absolute", "absolute_range"]


class RandomCrop(Augmentation):
    """Cut a rectangle of drawn place (and, for the "range" types, drawn size).

    Args:
        crop_type: how to read `crop_size`, (height, width) always:
            "relative": a part of the image, each in (0, 1];
            "relative_range": as before, drawn evenly between the given part and 1;
            "absolute": pixels, at most the image;
            "absolute_range": (lowest, highest) in pixels, for height and width alike, drawn separately.
    """

    def __init__(self, crop_type: CropType, crop_size: tuple[float, float]) -> None:
        if crop_type not in ("relative_range", "relative", "absolute", "absolute_range"):
            raise ValueError(
                "RandomCrop: crop_type must be one of 'relative_range', 'relative', 'absolute', "
                f"'absolute_range'; got {crop_type!r}"
            )
        if crop_type.startswith("relative") and not all(0 < s <= 1 for s in crop_size):
            raise ValueError(
                f"RandomCrop: crop_size of type {crop_type!r} must lie in (0, 1], got {crop_size}"
            )
        if crop_type == "absolute_range" and crop_size[0] > crop_size[1]:
            raise ValueError(f"RandomCrop: 'absolute_range' needs (lowest, highest), got {crop_size}")
        self.crop_type = crop_type
        self.crop_size = crop_size

    def get_crop_size(self, image_size: tuple[int, int], rng: np.random.Generator) -> tuple[int, int]:
        """Return (height, width) of the crop for an image of (height, width)."""
        h, w = image_size
        first, second = self.crop_size
        if self.crop_type == "absolute":
            return min(int(first), h), min(int(second), w)
        if self.crop_type == "absolute_range":
            low, high = int(first), int(second)
            return (
                int(rng.integers(min(h, low), min(h, high) + 1)),
                int(rng.integers(min(w, low), min(w, high) + 1)),
            )
        if self.crop_type == "relative_range":
            first, second = (
                float(s + u * (1 - s)) for s, u in zip((first, second), rng.random(2), strict=True)
            )
        return max(1, int(h * first + 0.5)), max(1, int(w * second + 0.5))

    @from_image
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> CropTransform:
        """Return a crop of the size that `get_crop_size` draws, at a random place."""
        h, w = aug_input.image_size
        crop_h, crop_w = self.get_crop_size((h, w), rng)
        y0, x0 = int(rng.integers(h - crop_h + 1)), int(rng.integers(w - crop_w + 1))
        return CropTransform(x0, y0, crop_w, crop_h, w, h)


class RandomCrop_CategoryAreaConstraint(Augmentation):
    """`RandomCrop` that looks for a crop in which no category covers more than a part of the labelled area.

    Ten crops are tried and the last is taken. Without `sem_seg` in the input it is a plain `RandomCrop`.

    Args:
        single_category_max_area: largest allowed part, 1.0 for no constraint.
        ignored_category: label that does not count.
    """

    def __init__(
        self,
        crop_type: CropType,
        crop_size: tuple[float, float],
        single_category_max_area: float = 1.0,
        ignored_category: int | None = None,
    ) -> None:
        self.crop_aug = RandomCrop(crop_type=crop_type, crop_size=crop_size)
        self.single_category_max_area = single_category_max_area
        self.ignored_category = ignored_category

    @from_image
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> CropTransform:
        """Return a crop in which no category has too large a share of the pixels; the last one drawn if none
        has.
        """
        crop = self.crop_aug.get_transform(aug_input, rng)
        if self.single_category_max_area >= 1.0 or aug_input.sem_seg is None:
            return crop
        sem_seg = aug_input.sem_seg.numpy() if isinstance(aug_input.sem_seg, Tensor) else aug_input.sem_seg
        for _ in range(9):
            window = sem_seg[crop.y0 : crop.y0 + crop.h, crop.x0 : crop.x0 + crop.w]
            labels, counts = np.unique(window, return_counts=True)
            if self.ignored_category is not None:
                counts = counts[labels != self.ignored_category]
            if len(counts) > 1 and counts.max() < counts.sum() * self.single_category_max_area:
                break
            crop = self.crop_aug.get_transform(aug_input, rng)
        return crop


class FixedSizeCrop(Augmentation):
    """Cut at a drawn place so that no side exceeds `crop_size` (height, width); then pad at the right and the
    bottom to exactly that size.

    Args:
        pad: pad at all.
        pad_value, seg_pad_value: of images and of label maps.
    """

    def __init__(
        self,
        crop_size: tuple[int, int],
        pad: bool = True,
        pad_value: float = 128.0,
        seg_pad_value: int = 255,
    ) -> None:
        self.crop_size = (int(crop_size[0]), int(crop_size[1]))
        self.pad = pad
        self.pad_value = pad_value
        self.seg_pad_value = seg_pad_value

    @from_image
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> TransformList:
        """Return a crop at a random place, padded where the image is smaller than the crop."""
        h, w = aug_input.image_size
        crop_h, crop_w = min(h, self.crop_size[0]), min(w, self.crop_size[1])
        place = rng.random()  # one number for both axes: the crop lies on the diagonal of free places
        y0, x0 = round((h - crop_h) * place), round((w - crop_w) * place)
        transforms: list[Transform] = [CropTransform(x0, y0, crop_w, crop_h, w, h)]
        pad_h, pad_w = self.crop_size[0] - crop_h, self.crop_size[1] - crop_w
        if self.pad and (pad_h or pad_w):
            transforms.append(
                PadTransform(0, 0, pad_w, pad_h, crop_w, crop_h, self.pad_value, self.seg_pad_value)
            )
        return TransformList(transforms)


class MinIoURandomCrop(Augmentation):
    """Cut so that every box overlaps the crop by at least a drawn IoU and some box has its centre inside
    (Liu et al., "SSD: Single Shot MultiBox Detector", 2016).

    Args:
        min_ious: the thresholds to draw from, beside "no crop" and "any overlap".
        min_crop_size: smallest side of the crop relative to the image.
        mode_trials: how often a threshold is drawn before giving up (no crop).
        crop_trials: how many crops are tried for a threshold.
    """

    def __init__(
        self,
        min_ious: Sequence[float] = (0.1, 0.3, 0.5, 0.7, 0.9),
        min_crop_size: float = 0.3,
        mode_trials: int = 1000,
        crop_trials: int = 50,
    ) -> None:
        self.min_ious = tuple(min_ious)
        self.min_crop_size = min_crop_size
        self.mode_trials = mode_trials
        self.crop_trials = crop_trials

    @from_image
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> Transform:
        """Draw a crop in which a box keeps the IoU.

        Raises:
            ValueError: the input has no boxes.
        """
        if aug_input.boxes is None:
            raise ValueError("MinIoURandomCrop needs AugInput.boxes; use it in a mapper that gives boxes")
        boxes = np.asarray(aug_input.boxes, dtype=np.float64).reshape(-1, 4)
        thresholds = (1.0, *self.min_ious, 0.0)
        for _ in range(self.mode_trials):
            threshold = thresholds[int(rng.integers(len(thresholds)))]
            if threshold == 1.0:
                return NoOpTransform()
            for _ in range(self.crop_trials):
                crop = self._draw(aug_input.image_size, rng)
                if crop is not None and _accepts(crop, boxes, threshold):
                    return crop
        return NoOpTransform()

    def _draw(self, size: tuple[int, int], rng: np.random.Generator) -> CropTransform | None:
        h, w = size
        crop_w, crop_h = (int(rng.uniform(self.min_crop_size * s, s)) for s in (w, h))
        if min(crop_w, crop_h) < 1 or not 0.5 <= crop_h / crop_w <= 2:
            return None
        return CropTransform(
            int(rng.uniform(0, w - crop_w)), int(rng.uniform(0, h - crop_h)), crop_w, crop_h, w, h
        )


def _accepts(crop: CropTransform, boxes: np.ndarray, threshold: float) -> bool:
    if len(boxes) == 0:
        return True
    low = np.array([crop.x0, crop.y0], dtype=np.float64)
    high = low + np.array([crop.w, crop.h])
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    some_inside = ((centers > low) & (centers < high)).all(axis=1).any()
    return bool(_ious(crop, boxes).min() >= threshold and some_inside)


def _ious(crop: CropTransform, boxes: np.ndarray) -> np.ndarray:
    """Return (N,) the IoU of a crop with boxes (N, 4)."""
    low = np.array([crop.x0, crop.y0], dtype=np.float64)
    high = low + np.array([crop.w, crop.h])
    inter = (np.minimum(boxes[:, 2:], high) - np.maximum(boxes[:, :2], low)).clip(min=0).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return inter / np.maximum(areas + crop.w * crop.h - inter, 1e-9)


class RandomIoUCrop(Augmentation):
    """Cut so that the best overlap of a box with the crop reaches a drawn IoU, and drop the objects whose
    middle is outside (Liu et al., "SSD: Single Shot MultiBox Detector", 2016; as torchvision draws it).

    Args:
        min_scale, max_scale: sides of the crop, relative to the image.
        min_aspect_ratio, max_aspect_ratio: width by height.
        min_ious: the thresholds to draw from; 1 stands for no crop.
        trials: crops tried for a threshold before another is drawn.
    """

    def __init__(
        self,
        min_scale: float = 0.3,
        max_scale: float = 1.0,
        min_aspect_ratio: float = 0.5,
        max_aspect_ratio: float = 2.0,
        min_ious: Sequence[float] = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0),
        trials: int = 40,
    ) -> None:
        name = "RandomIoUCrop"
        self.scale = check_range(name, "min_scale and max_scale", (min_scale, max_scale), 1e-3, 1)
        ratios = (min_aspect_ratio, max_aspect_ratio)
        self.aspect_ratio = check_range(name, "min_aspect_ratio and max_aspect_ratio", ratios, 1e-3)
        self.min_ious = tuple(check_number(name, "each of min_ious", m, 0, 1) for m in min_ious)
        if not self.min_ious:
            raise ValueError("RandomIoUCrop: min_ious is empty")
        self.trials = check_count(name, "trials", trials)

    @from_image
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> Transform:
        """Return a crop, or a transform that does nothing.

        Raises:
            ValueError: the input has no boxes.
        """
        if aug_input.boxes is None:
            raise ValueError("RandomIoUCrop needs AugInput.boxes; use it in a mapper that gives boxes")
        boxes = np.asarray(aug_input.boxes, dtype=np.float64).reshape(-1, 4)
        boxes = boxes[(boxes[:, 2:] > boxes[:, :2]).all(axis=1)]
        h, w = aug_input.image_size
        for _ in range(1000):
            threshold = self.min_ious[int(rng.integers(len(self.min_ious)))]
            if threshold >= 1:
                return NoOpTransform()
            for _ in range(self.trials):
                crop_h, crop_w = (int(s * rng.uniform(*self.scale)) for s in (h, w))
                place = rng.random(2)
                if min(crop_h, crop_w) < 1:
                    continue
                if not self.aspect_ratio[0] <= crop_w / crop_h <= self.aspect_ratio[1]:
                    continue
                y0, x0 = int((h - crop_h + 1) * place[0]), int((w - crop_w + 1) * place[1])
                crop = CropByCenterTransform(x0, y0, crop_w, crop_h, w, h)
                kept = boxes[crop.holds((boxes[:, :2] + boxes[:, 2:]) / 2)]
                if len(boxes) == 0 or (len(kept) and _ious(crop, kept).max() >= threshold):
                    return crop
        return NoOpTransform()


class RandomZoomOut(Augmentation):
    """Put the image somewhere on a larger canvas, with probability `prob`: SSD's way to small objects.

    Args:
        side_range: (smallest, largest) sides of the canvas, relative to the image.
        pad_value, seg_pad_value: of what is around the image, and around a label map.
    """

    def __init__(
        self,
        side_range: Sequence[float] = (1.0, 4.0),
        pad_value: float = 114,
        seg_pad_value: int = 255,
        prob: float = 0.5,
    ) -> None:
        self.side_range = check_range("RandomZoomOut", "side_range", side_range, 1)
        self.pad_value = check_number("RandomZoomOut", "pad_value", pad_value)
        self.seg_pad_value = seg_pad_value
        self.prob = check_probability("RandomZoomOut", "prob", prob)

    @from_image
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> Transform:
        """Return a padding, or a transform that does nothing."""
        h, w = aug_input.image_size
        used, ratio, place = rng.random() < self.prob, rng.uniform(*self.side_range), rng.random(2)
        more_h, more_w = int(h * ratio) - h, int(w * ratio) - w
        if not used or (more_h, more_w) == (0, 0):
            return NoOpTransform()
        top, left = int((more_h + 1) * place[0]), int((more_w + 1) * place[1])
        return PadTransform(left, top, more_w - left, more_h - top, w, h, self.pad_value, self.seg_pad_value)
