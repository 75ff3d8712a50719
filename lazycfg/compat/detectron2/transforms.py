"""``detectron2.data.transforms``: called as they were, on arrays (H, W, C)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor
from torchvision.transforms import InterpolationMode

from lazycfg.data import transforms as ours
from lazycfg.data.transforms.augmentation import as_augmentation, wanted_arguments
from lazycfg.data.transforms.geometric import as_interpolation, resize_nearest
from lazycfg.data.transforms.transform import to_chw, to_hwc

from .stand_in import StandIn

AugInput = ours.AugInput
StandardAugInput = ours.AugInput
NoOpTransform = ours.NoOpTransform
TransformList = ours.TransformList
HFlipTransform = ours.HFlipTransform
VFlipTransform = ours.VFlipTransform
CropTransform = ours.CropTransform
PadTransform = ours.PadTransform
GridSampleTransform = ours.GridSampleTransform

# The numbers by which Pillow and OpenCV call them
_PILLOW = {
    0: InterpolationMode.NEAREST,
    1: InterpolationMode.LANCZOS,
    2: InterpolationMode.BILINEAR,
    3: InterpolationMode.BICUBIC,
}
_OPENCV = {0: InterpolationMode.NEAREST, 1: InterpolationMode.BILINEAR, 2: InterpolationMode.BICUBIC}


def _interpolation(interp: Any, numbers: dict[int, InterpolationMode] = _PILLOW) -> InterpolationMode:
    if interp is None:
        return InterpolationMode.BILINEAR
    if isinstance(interp, int) and int(interp) in numbers:
        return numbers[int(interp)]
    return as_interpolation(interp)


def fresh_generator() -> np.random.Generator:
    """Return a generator that follows from numpy's global one, as ``np.random.seed`` left it."""
    return np.random.default_rng(np.random.randint(2**31, size=4))


class Transform(ours.Transform, metaclass=StandIn):
    """Base class of a program's own: `apply_image` for (H, W, C), `apply_coords` for (N, 2)."""

    stands_for = ours.Transform

    def _set_attributes(self, params: dict[str, Any] | None = None) -> None:
        for name, value in (params or {}).items():
            if name != "self" and not name.startswith("_"):
                setattr(self, name, value)

    @classmethod
    def register_type(cls, data_type: str, func: Callable[..., Any] | None = None) -> Any:
        """Add what this transform does to another kind of data, as ``apply_<data_type>``."""
        if func is None:
            return lambda decorated: cls.register_type(data_type, decorated) or decorated
        setattr(cls, f"apply_{data_type}", lambda self, value: func(self, value))
        return None


class Augmentation(ours.Augmentation, metaclass=StandIn):
    """Base class of a program's own: `get_transform` returns a `Transform`."""

    stands_for = ours.Augmentation
    input_args: Any = None

    def _init(self, params: dict[str, Any] | None = None) -> None:
        for name, value in (params or {}).items():
            if name != "self" and not name.startswith("_"):
                setattr(self, name, value)

    def _rand_range(self, low: float = 1.0, high: float | None = None, size: Any = None) -> Any:
        """Draw from numpy's global generator."""
        if high is None:
            low, high = 0, low
        return np.random.uniform(low, high, [] if size is None else size)

    def __call__(self, aug_input: ours.AugInput, rng: np.random.Generator | None = None) -> ours.Transform:
        """Draw a transform, apply it to `aug_input` in place, return it."""
        return super().__call__(aug_input, fresh_generator() if rng is None else rng)


TransformGen = Augmentation


class _Old:
    """Mixed into an augmentation of lazycfg: without a generator numpy's global one decides."""

    def __call__(self, aug_input: ours.AugInput, rng: np.random.Generator | None = None) -> Any:
        return super().__call__(aug_input, fresh_generator() if rng is None else rng)  # type: ignore[misc]

    def get_transform(self, aug_input: Any, rng: np.random.Generator | None = None) -> Any:
        """Return a transform for an `AugInput`, or for an image (H, W, C)."""
        generator = fresh_generator() if rng is None else rng
        return old_transform(super().get_transform(aug_input, generator))  # type: ignore[misc]


def old_transform(transform: ours.Transform) -> ours.Transform:
    """Return a transform that does to arrays what detectron2's did."""
    if type(transform) is ours.ResizeTransform:
        t = transform
        return ResizeTransform(t.h, t.w, t.new_h, t.new_w, t.interp)
    if type(transform) is ours.TransformList:
        return ours.TransformList([old_transform(t) for t in transform.transforms])
    return transform


class ResizeTransform(ours.ResizeTransform):
    """Resize (h, w) to (new_h, new_w).

    uint8 arrays go through antialiasing, as Pillow does it; others are sampled without it, as
    ``torch.nn.functional.interpolate`` does.

    Args:
        interp: of `InterpolationMode`, its name, or a number of Pillow's.
    """

    def __init__(self, h: int, w: int, new_h: int, new_w: int, interp: Any = None) -> None:
        super().__init__(h, w, new_h, new_w, _interpolation(interp))

    def transform_image(self, image: Tensor) -> Tensor:
        """Resize pixels (..., H, W)."""
        return self._resized(image, as_interpolation(self.interp))

    def transform_segmentation(self, segmentation: Tensor) -> Tensor:
        """Resize labels (..., H, W) by the nearest pixel."""
        return self._resized(segmentation, InterpolationMode.NEAREST)

    def apply_image(self, image: Any, interp: Any = None) -> Any:
        """Resize an array (H, W, C) or (H, W), or a tensor (C, H, W)."""
        mode = as_interpolation(self.interp) if interp is None else _interpolation(interp)
        if isinstance(image, Tensor):
            return self._resized(image, mode)
        result = self._resized(to_chw(image), mode)
        return result[0].numpy() if image.ndim == 2 else np.ascontiguousarray(to_hwc(result))

    def _resized(self, image: Tensor, mode: InterpolationMode) -> Tensor:
        self._check(image)
        size = (self.new_h, self.new_w)
        if image.dtype in (torch.uint8, torch.bool):
            if mode == InterpolationMode.NEAREST:
                return resize_nearest(image, size)
            return ours.ResizeTransform(self.h, self.w, *size, mode).transform_image(image)
        flat = image.reshape(1, -1, *image.shape[-2:])
        if not flat.is_floating_point():
            flat = flat.double()  # exact for all labels there are
        if mode == InterpolationMode.NEAREST:
            moved = nnf.interpolate(flat, size, mode="nearest")
        else:
            moved = nnf.interpolate(flat, size, mode=mode.value, align_corners=False)
        return moved.reshape(*image.shape[:-2], *size).to(image.dtype)


class ScaleTransform(ResizeTransform):
    """`ResizeTransform` by torch's interpolation, for any type of numbers."""


class ExtentTransform(ours.ExtentTransform):
    """Cut a rectangle, which may reach out, and resize it."""

    def __init__(self, src_rect: Any, output_size: Any, interp: Any = None, fill: float = 0) -> None:
        super().__init__(tuple(src_rect), tuple(output_size), _interpolation(interp), fill)


class RotationTransform(ours.RotationTransform):
    """Rotate by degrees, counter-clockwise. `interp`: a number of OpenCV's, too."""

    def __init__(
        self, h: int, w: int, angle: float, expand: bool = True, center: Any = None, interp: Any = None
    ) -> None:
        super().__init__(h, w, angle, expand, center, _interpolation(interp, _OPENCV))


class BlendTransform(ours.BlendTransform):
    """``src_weight * src_image + dst_weight * image``; `src_image` a number or an array (H, W, C)."""

    def __init__(self, src_image: Any, src_weight: float, dst_weight: float) -> None:
        if isinstance(src_image, np.ndarray) and src_image.ndim:
            channels_only = src_image.ndim == 1
            src_image = torch.from_numpy(np.ascontiguousarray(src_image)).float()
            src_image = src_image[:, None, None] if channels_only else to_chw(src_image.numpy())
        super().__init__(src_image, src_weight, dst_weight)


class ColorTransform(ours.ColorTransform):
    """Any function of an array (H, W, C) that changes colours only."""

    def transform_image(self, image: Tensor) -> Tensor:
        """Apply the function to pixels (C, H, W) as an array (H, W, C)."""
        result: Any = self.op(to_hwc(image))  # type: ignore[arg-type]
        return to_chw(np.ascontiguousarray(result))


PILColorTransform = ours.PILColorTransform


class AugmentationList(_Old, ours.AugmentationList):
    """Augmentations (or fixed transforms) in turn."""

    def __init__(self, augs: Sequence[Any]) -> None:
        super().__init__(list(augs))

    def get_transform(self, aug_input: Any, rng: np.random.Generator | None = None) -> Any:
        """Return the transforms drawn in turn; keep the input."""
        return ours.AugmentationList.get_transform(self, aug_input, fresh_generator() if rng is None else rng)


class RandomApply(_Old, ours.RandomApply):
    """Apply an augmentation with a probability."""


class RandomFlip(_Old, ours.RandomFlip):
    """Mirror with a probability."""


class RandomBrightness(_Old, ours.RandomBrightness):
    """Mix with black."""


class RandomContrast(_Old, ours.RandomContrast):
    """Mix with the mean of the image."""


class RandomSaturation(_Old, ours.RandomSaturation):
    """Mix with the grey version of the image, whose channels are taken for RGB."""


class RandomLighting(_Old, ours.RandomLighting):
    """Add a colour along the principal components of ImageNet, whose channels are taken for RGB."""


class RandomExtent(_Old, ours.RandomExtent):
    """Cut a scaled and shifted rectangle."""


class RandomCrop(_Old, ours.RandomCrop):
    """Cut a rectangle of a drawn place."""

    def get_crop_size(self, image_size: tuple[int, int], rng: np.random.Generator | None = None) -> Any:
        """Return (height, width) of the crop."""
        return super().get_crop_size(image_size, fresh_generator() if rng is None else rng)


class RandomCrop_CategoryAreaConstraint(_Old, ours.RandomCrop_CategoryAreaConstraint):
    """`RandomCrop` in which no category covers more than a part."""


class MinIoURandomCrop(_Old, ours.MinIoURandomCrop):
    """A crop in which a box keeps an IoU."""


class FixedSizeCrop(_Old, ours.FixedSizeCrop):
    """A crop of a fixed size, padded where the image is smaller."""


class Resize(_Old, ours.Resize):
    """Resize to a shape."""

    def __init__(self, shape: Any, interp: Any = None) -> None:
        super().__init__(shape if isinstance(shape, int) else tuple(shape), _interpolation(interp))


class RandomResize(_Old, ours.RandomResize):
    """Resize to one of several shapes."""

    def __init__(self, shape_list: Any, interp: Any = None) -> None:
        super().__init__(shape_list, _interpolation(interp))


class ResizeShortestEdge(_Old, ours.ResizeShortestEdge):
    """Resize the shorter side to a drawn length, the longer one to at most `max_size`."""

    def __init__(
        self,
        short_edge_length: Any,
        max_size: int = 2**63 - 1,
        sample_style: Any = "range",
        interp: Any = None,
    ) -> None:
        super().__init__(short_edge_length, max_size, sample_style, _interpolation(interp))

    def get_transform(self, aug_input: Any, rng: np.random.Generator | None = None) -> Any:
        """Return a resize for an `AugInput`, or for an image (H, W, C)."""
        return _Old.get_transform(self, aug_input, rng)


class ResizeScale(_Old, ours.ResizeScale):
    """Fit into a target size times a drawn scale."""

    def __init__(
        self, min_scale: float, max_scale: float, target_height: int, target_width: int, interp: Any = None
    ) -> None:
        super().__init__(min_scale, max_scale, target_height, target_width, _interpolation(interp))


class RandomRotation(_Old, ours.RandomRotation):
    """Rotate by a drawn angle. `interp`: a number of OpenCV's, too."""

    def __init__(
        self,
        angle: Any,
        expand: bool = True,
        center: Any = None,
        sample_style: Any = "range",
        interp: Any = None,
    ) -> None:
        super().__init__(angle, expand, center, sample_style, _interpolation(interp, _OPENCV))


def apply_augmentations(augmentations: Sequence[Any], inputs: Any) -> tuple[Any, ours.TransformList]:
    """Apply augmentations in turn to an image (H, W, C) or an `AugInput`.

    Returns:
        the image (or the input, changed), and the transforms.
    """
    is_image = isinstance(inputs, np.ndarray)
    aug_input = AugInput(inputs) if is_image else inputs
    transforms = AugmentationList(augmentations)(aug_input)
    return (aug_input.image if is_image else aug_input), transforms


apply_transform_gens = apply_augmentations


def _transform_to_aug(tfm_or_aug: Any) -> Any:
    """Return an augmentation: itself, or one that always gives a transform."""
    return as_augmentation(tfm_or_aug)


def _get_aug_input_args(aug: Any, aug_input: Any) -> list[Any]:
    """Return the attributes of an input that an augmentation's `get_transform` names."""
    return [getattr(aug_input, source) for source in wanted_arguments(type(aug).get_transform).values()]
