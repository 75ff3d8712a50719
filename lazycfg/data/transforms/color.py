"""Deterministic changes of colour."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .transform import ColorTransformBase


@dataclass(frozen=True)
class BlendTransform(ColorTransformBase):
    """`src_weight * src_image + dst_weight * image`; uint8 images are clamped to [0, 255] and truncated.

    Args:
        src_image: a number, or a tensor that broadcasts to (C, H, W).
    """

    src_image: Tensor | float
    src_weight: float
    dst_weight: float

    def transform_image(self, image: Tensor) -> Tensor:
        """Blend pixels (..., H, W) with `src_image`."""
        mixed = image.to(torch.float32 if not image.is_floating_point() else image.dtype) * self.dst_weight
        mixed = mixed + self.src_image * self.src_weight
        return mixed.clamp(0, 255).to(torch.uint8) if image.dtype == torch.uint8 else mixed


@dataclass(frozen=True)
class ColorTransform(ColorTransformBase):
    """Any function of a (C, H, W) tensor that changes colours only, such as torchvision's v2 kernels."""

    op: Callable[[Tensor], Tensor]

    def transform_image(self, image: Tensor) -> Tensor:
        """Apply the function to pixels (..., H, W)."""
        return self.op(image)


@dataclass(frozen=True)
class PILColorTransform(ColorTransformBase):
    """Any function of a PIL image that changes colours only; for uint8 images of 1 or 3 channels."""

    op: Callable[[Image.Image], Image.Image]

    def transform_image(self, image: Tensor) -> Tensor:
        """Apply the function to pixels (C, H, W) as a Pillow image."""
        array = image.permute(1, 2, 0).contiguous().numpy()
        picture = Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)
        result = np.array(self.op(picture))
        return torch.from_numpy(result.reshape(*result.shape[:2], -1)).permute(2, 0, 1)
