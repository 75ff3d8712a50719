"""Deterministic changes of pixels that move nothing: colours as hue, saturation and value, blur, noise,
compression, erased rectangles.

Whole-numbered images keep their dtype: results are rounded and clipped to its range. Floating point images
are taken to lie in 0..255 like those of uint8.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as tvf

from .transform import ColorTransformBase

ChannelOrder = Literal["RGB", "BGR", "L", "raw"]
"""Order of the channels of an image; three of a "raw" one are taken for red, green and blue."""

_OVERSHOOT = 64.0


def largest_value(image: Tensor) -> float:
    """Return the value of white of an image (C, H, W): that of the integer type, or 255 of floating point
    images.
    """
    return 255.0 if image.is_floating_point() else float(torch.iinfo(image.dtype).max)


def in_float(operation: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
    """Apply an operation on float32 pixels (..., H, W); the result is clipped, and rounded for integers.

    Raises:
        ValueError: floating point pixels that are not of 0 to 255, which clipping would destroy.
    """
    if image.is_floating_point() and image.numel() and _is_beyond_white(image):
        raise ValueError(
            f"values from {float(image.min()):.6g} to {float(image.max()):.6g}: changes of brightness, blur, "
            "noise and the like take floating point images of 0 to 255. Scale them as they are read: "
            "value_range=(lowest, highest) of DatasetMapper"
        )
    result = operation(image.to(torch.float32)).clamp_(0, largest_value(image))
    return result.to(image.dtype) if image.is_floating_point() else result.round_().to(image.dtype)


def _is_beyond_white(image: Tensor) -> bool:
    """Return whether floating point pixels lie further from 0..255 than a bicubic resize takes them."""
    low, high = torch.aminmax(image)
    return bool(low < -_OVERSHOOT) or bool(high > 255 + _OVERSHOOT)


def grey_of(image: Tensor, channel_order: ChannelOrder) -> Tensor:
    """Return the brightness (1, H, W) float32 of an image (C, H, W): Rec. 601 luma of three channels, else
    the mean of the channels.
    """
    if image.shape[0] != 3:
        return image.to(torch.float32).mean(dim=0, keepdim=True)
    weights = torch.tensor([0.299, 0.587, 0.114])
    if channel_order == "BGR":
        weights = weights.flip(0)
    return (image.to(torch.float32) * weights[:, None, None]).sum(0, keepdim=True)


def rgb_to_hsv(image: Tensor) -> Tensor:
    """Convert RGB (3, H, W) to hue in turns [0, 1), saturation [0, 1] and value (as large as the image's)."""
    high, low = image.amax(dim=0), image.amin(dim=0)
    chroma = high - low
    red, green, blue = image
    divisor = torch.where(chroma > 0, chroma, 1.0)
    hue = torch.where(
        high == red,
        (green - blue) / divisor % 6,
        torch.where(high == green, (blue - red) / divisor + 2, (red - green) / divisor + 4),
    )
    saturation = chroma / torch.where(high > 0, high, 1.0)
    return torch.stack((hue / 6 % 1, saturation, high))


def hsv_to_rgb(image: Tensor) -> Tensor:
    """Convert hue in turns, saturation [0, 1] and value (3, H, W) to RGB."""
    hue, saturation, value = image
    k = (torch.tensor([5.0, 3.0, 1.0])[:, None, None] + hue * 6) % 6
    return value - value * saturation * torch.minimum(k, 4 - k).clamp(0, 1)


@dataclass(frozen=True)
class HSVTransform(ColorTransformBase):
    """Turn the hue, and multiply saturation and value.

    Args:
        hue: turns that are added (1 is once around).
        saturation, value: factors.
        channel_order: of the image, "RGB" or "BGR".
    """

    hue: float
    saturation: float
    value: float
    channel_order: ChannelOrder = "RGB"

    def transform_image(self, image: Tensor) -> Tensor:
        """Change colours of pixels (3, H, W).

        Raises:
            ValueError: the image has not three channels.
        """
        check_color(self, image)
        return in_float(self._change, image)

    def _change(self, image: Tensor) -> Tensor:
        hsv = rgb_to_hsv(image.flip(0) if self.channel_order == "BGR" else image)
        hsv[0] = (hsv[0] + self.hue) % 1
        hsv[1] = (hsv[1] * self.saturation).clamp_(0, 1)
        hsv[2] = hsv[2] * self.value
        rgb = hsv_to_rgb(hsv)
        return rgb.flip(0) if self.channel_order == "BGR" else rgb


@dataclass(frozen=True)
class PhotometricTransform(ColorTransformBase):
    """Change brightness, contrast, saturation and hue, and reorder the channels, without rounding in between.

    Args:
        brightness: is added, in parts of white (1 turns black into white).
        contrast: factor, before the change of saturation and hue or (`contrast_last`) after it.
        saturation, hue: as in `HSVTransform`.
        channels: the order of the channels afterwards, by their number before.
        channel_order: of the image, "RGB" or "BGR".
    """

    brightness: float = 0.0
    contrast: float = 1.0
    saturation: float = 1.0
    hue: float = 0.0
    contrast_last: bool = False
    channels: tuple[int, int, int] = (0, 1, 2)
    channel_order: ChannelOrder = "RGB"

    def transform_image(self, image: Tensor) -> Tensor:
        """Change colours of pixels (3, H, W).

        Raises:
            ValueError: the image has not three channels.
        """
        check_color(self, image)
        white = largest_value(image)

        def change(pixels: Tensor) -> Tensor:
            pixels = pixels + self.brightness * white
            if not self.contrast_last:
                pixels = pixels * self.contrast
            if self.saturation != 1 or self.hue != 0:
                hsv = HSVTransform(self.hue, self.saturation, 1.0, self.channel_order)
                pixels = hsv._change(pixels.clamp(0, white))  # of other values there is no hue
            if self.contrast_last:
                pixels = pixels * self.contrast
            return pixels if self.channels == (0, 1, 2) else pixels[list(self.channels)]

        return in_float(change, image)


@dataclass(frozen=True)
class BlurTransform(ColorTransformBase):
    """Blur with a Gaussian. `sigma`: its standard deviation, pixels."""

    sigma: float

    def transform_image(self, image: Tensor) -> Tensor:
        """Blur pixels (..., H, W)."""
        # The border is mirrored, so the kernel must not reach further than the image is large.
        radius = min(math.ceil(3 * self.sigma), *(side - 1 for side in image.shape[-2:]))
        if radius < 1:
            return image
        size, sigma = [2 * radius + 1] * 2, [self.sigma] * 2
        return in_float(lambda pixels: tvf.gaussian_blur_image(pixels, size, sigma), image)


@dataclass(frozen=True)
class NoiseTransform(ColorTransformBase):
    """Add Gaussian noise, drawn for each value by itself.

    Args:
        std: standard deviation, in parts of white.
        seed: of the noise.
    """

    std: float
    seed: int

    def transform_image(self, image: Tensor) -> Tensor:
        """Add noise to pixels (..., H, W)."""
        noise = np.random.default_rng(self.seed).standard_normal(tuple(image.shape), dtype=np.float32)
        noise *= self.std * largest_value(image)
        return in_float(lambda pixels: pixels + torch.from_numpy(noise), image)


@dataclass(frozen=True)
class JPEGTransform(ColorTransformBase):
    """Compress as JPEG and decompress again: the traces of lossy compression.

    Args:
        quality: 1 to 95, see Pillow.
        channel_order: of the image; JPEG keeps brightness better than colour.
    """

    quality: int
    channel_order: ChannelOrder = "RGB"

    def transform_image(self, image: Tensor) -> Tensor:
        """Compress pixels (3, H, W) or (1, H, W).

        Raises:
            ValueError: the image is not uint8 of one or three channels.
        """
        if image.dtype != torch.uint8 or image.shape[0] not in (1, 3):
            raise ValueError(
                f"JPEG holds uint8 images of 1 or 3 channels, got {image.dtype} of {image.shape[0]} channels"
            )
        is_reversed = len(image) == 3 and self.channel_order == "BGR"
        array = (image.flip(0) if is_reversed else image).permute(1, 2, 0).contiguous().numpy()
        stream = io.BytesIO()
        Image.fromarray(array[..., 0] if len(image) == 1 else array).save(
            stream, "JPEG", quality=self.quality
        )
        decoded = torch.from_numpy(np.array(Image.open(stream))).reshape(array.shape).permute(2, 0, 1)
        return (decoded.flip(0) if is_reversed else decoded).contiguous()


@dataclass(frozen=True)
class EraseTransform(ColorTransformBase):
    """Fill rectangles. Annotations stay: objects below are hidden, as by something in front of them.

    Args:
        boxes: (x0, y0, x1, y1) each, whole pixels.
        value: to fill with; None: noise, evenly drawn for each value.
        seed: of the noise.
    """

    boxes: tuple[tuple[int, int, int, int], ...]
    value: float | None = 0.0
    seed: int = 0

    def transform_image(self, image: Tensor) -> Tensor:
        """Fill rectangles of pixels (..., H, W)."""
        image = image.clone()
        rng = np.random.default_rng(self.seed)
        for x0, y0, x1, y1 in self.boxes:
            part = image[..., y0:y1, x0:x1]
            if self.value is not None:
                part.fill_(self.value)
                continue
            noise = torch.from_numpy(rng.random(tuple(part.shape), dtype=np.float32))
            part.copy_(in_float(lambda _, noise=noise, white=largest_value(image): noise * white, part))
        return image


def check_color(transform: object, image: Tensor) -> None:
    """Raise ValueError for an image (C, H, W) that has not three channels."""
    if image.ndim != 3 or image.shape[0] != 3:
        raise ValueError(
            f"{type(transform).__name__} changes colours of images with 3 channels, got one of shape "
            f"{tuple(image.shape)}"
        )
