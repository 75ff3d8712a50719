"""RandAugment (Cubuk et al., 2019), with the operations that move pixels right for annotations too."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torchvision.transforms.v2 import functional as tvf

from lazycfg.utils.suggest import closest

from .affine import AffineTransform, affine_matrix
from .augmentation import AugInput, Augmentation, AugmentationList, from_image
from .checks import check_count, check_number
from .color import BlendTransform, ColorTransform
from .pixels import check_color, grey_of
from .transform import Transform, TransformList, to_chw

SHIFTS = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
FACTORS = ("brightness", "color", "contrast", "sharpness")
OPERATIONS = (*SHIFTS, *FACTORS, "posterize", "solarize", "auto_contrast", "equalize", "identity")


class RandAugment(Augmentation):
    """Apply `num_ops` operations drawn from a list, all of the same strength.

    Args:
        num_ops: how many are applied, one after another; the same may come twice.
        magnitude: strength, 0 to `num_magnitude_bins` - 1. The largest shears by 0.3, shifts by 150/331 of a
            side, rotates by 30 degrees, changes brightness, colour, contrast and sharpness by 0.9 either way,
            keeps 4 bits (posterize) and inverts all values (solarize).
        num_magnitude_bins: number of strengths.
        operations: names out of shear_x, shear_y, translate_x, translate_y, rotate, brightness, color,
            contrast, sharpness, posterize, solarize, auto_contrast, equalize, identity; None: all.
        fill, seg_fill: value of what lies outside the image, and outside a label map.
    """

    def __init__(
        self,
        num_ops: int = 2,
        magnitude: float = 9,
        num_magnitude_bins: int = 31,
        operations: Sequence[str] | None = None,
        fill: float = 114,
        seg_fill: int = 255,
    ) -> None:
        self.num_ops = check_count("RandAugment", "num_ops", num_ops)
        self.num_magnitude_bins = check_count("RandAugment", "num_magnitude_bins", num_magnitude_bins, 2)
        self.magnitude = check_number("RandAugment", "magnitude", magnitude, 0, num_magnitude_bins - 1)
        self.operations = OPERATIONS if operations is None else tuple(operations)
        if not self.operations:
            raise ValueError("RandAugment: operations is empty; leave it out for all of them")
        for name in self.operations:
            if name not in OPERATIONS:
                raise ValueError(
                    f"RandAugment: no operation {name!r}; there are {', '.join(OPERATIONS)}"
                    f"{closest(name, OPERATIONS)}"
                )
        self.fill = check_number("RandAugment", "fill", fill)
        self.seg_fill = seg_fill

    def _drawn(self, rng: np.random.Generator) -> AugmentationList:
        chosen = rng.integers(len(self.operations), size=self.num_ops).tolist()
        signs = (rng.integers(2, size=self.num_ops) * 2 - 1).tolist()
        level = self.magnitude / (self.num_magnitude_bins - 1)
        return AugmentationList(
            [
                _Operation(self.operations[i], level, sign, self.fill, self.seg_fill)
                for i, sign in zip(chosen, signs, strict=True)
            ]
        )

    @from_image
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> TransformList:
        """Return the drawn operations, each for the result of those before."""
        return self._drawn(rng).get_transform(aug_input, rng)

    def __call__(self, aug_input: AugInput, rng: np.random.Generator | None = None) -> TransformList:
        rng = np.random.default_rng() if rng is None else rng
        return self._drawn(rng)(aug_input, rng)


class _Operation(Augmentation):
    """One operation. `level`: strength from 0 to 1; `sign`: 1 or -1, its direction."""

    def __init__(self, name: str, level: float, sign: int, fill: float, seg_fill: int) -> None:
        self.name = name
        self.level = level
        self.sign = sign
        self.fill = fill
        self.seg_fill = seg_fill

    @from_image
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> Transform:
        """Draw the transform of this operation.

        Raises:
            ValueError: it is one of colours, and the image has not three channels; or one that is for uint8,
                and the image is not.
        """
        if self.name in SHIFTS:
            return self._moved(aug_input.image_size)
        image = to_chw(aug_input.image)
        if self.name == "color" and image.shape[0] != 1:
            check_color(self, image)
        factor = 1 + self.sign * 0.9 * self.level
        if self.name == "brightness":
            return BlendTransform(0.0, 1 - factor, factor)
        if self.name == "color":
            return BlendTransform(grey_of(image, aug_input.channel_order), 1 - factor, factor)
        if self.name == "contrast":
            return BlendTransform(float(grey_of(image, aug_input.channel_order).mean()), 1 - factor, factor)
        kernels = {
            "sharpness": partial(tvf.adjust_sharpness_image, sharpness_factor=factor),
            "posterize": partial(tvf.posterize_image, bits=8 - round(4 * self.level)),
            "solarize": partial(tvf.solarize_image, threshold=255 * (1 - self.level)),
            "auto_contrast": tvf.autocontrast_image,
            "equalize": tvf.equalize_image,
        }
        if self.name in kernels and image.dtype != torch.uint8:
            raise ValueError(f"RandAugment: {self.name} is for uint8 images, got {image.dtype}")
        return TransformList([ColorTransform(kernels[self.name])] if self.name in kernels else [])

    def _moved(self, size: tuple[int, int]) -> AffineTransform:
        amount = self.sign * self.level
        height, width = size
        shear = float(np.degrees(np.arctan(0.3 * amount)))
        matrix = affine_matrix(
            size,
            size,
            angle=30 * amount if self.name == "rotate" else 0.0,
            shear=(
                shear if self.name == "shear_x" else 0.0,
                shear if self.name == "shear_y" else 0.0,
            ),
            shift=(
                150 / 331 * width * amount if self.name == "translate_x" else 0.0,
                150 / 331 * height * amount if self.name == "translate_y" else 0.0,
            ),
        )
        return AffineTransform(matrix, *size, *size, fill=self.fill, seg_fill=self.seg_fill)
