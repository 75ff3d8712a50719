"""The photometric distortion of SSD (arXiv:1512.02325, section 2.2), for semantic segmentation."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from lazycfg.data.transforms import AugInput, Augmentation
from lazycfg.data.transforms.transform import ColorTransformBase

__all__ = ["ColorAugSSDTransform", "SSDColors", "bgr_to_hsv", "hsv_to_bgr"]


class ColorAugSSDTransform(Augmentation):
    """Change brightness, contrast, saturation and hue at random; boxes and masks stay.

    Each of the four is changed with a probability of one half, brightness first, then contrast before or
    after the other two, as a coin decides.

    Args:
        img_format: order of the channels of the image it is applied to, "BGR" or "RGB".
        brightness_delta: most that is added or taken away, in grey levels.
        contrast_low, contrast_high: between what the pixels are multiplied by.
        saturation_low, saturation_high: between what the saturation is.
        hue_delta: most that the hue is turned by, in steps of 2 degrees.
    """

    def __init__(
        self,
        img_format: Literal["BGR", "RGB"],
        brightness_delta: float = 32,
        contrast_low: float = 0.5,
        contrast_high: float = 1.5,
        saturation_low: float = 0.5,
        saturation_high: float = 1.5,
        hue_delta: int = 18,
    ) -> None:
        if img_format not in ("BGR", "RGB"):
            raise ValueError(f'ColorAugSSDTransform: img_format must be "BGR" or "RGB", got {img_format!r}')
        for name, low, high in (
            ("contrast", contrast_low, contrast_high),
            ("saturation", saturation_low, saturation_high),
        ):
            if not 0 <= low <= high:
                raise ValueError(
                    f"ColorAugSSDTransform: needs 0 <= {name}_low <= {name}_high, got {low} and {high}"
                )
        self.img_format = img_format
        self.brightness_delta = brightness_delta
        self.contrast_low = contrast_low
        self.contrast_high = contrast_high
        self.saturation_low = saturation_low
        self.saturation_high = saturation_high
        self.hue_delta = hue_delta

    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> "SSDColors":
        """Draw the changes of colour."""
        brightness = float(rng.uniform(-self.brightness_delta, self.brightness_delta))
        contrast = float(rng.uniform(self.contrast_low, self.contrast_high))
        saturation = float(rng.uniform(self.saturation_low, self.saturation_high))
        hue = int(rng.integers(-self.hue_delta, self.hue_delta + 1))
        bright, contrasted, saturated, turned, first = rng.random(5) < 0.5
        return SSDColors(
            img_format=self.img_format,
            brightness=brightness if bright else 0.0,
            contrast=contrast if contrasted else 1.0,
            saturation=saturation if saturated else 1.0,
            hue=hue if turned else 0,
            contrast_first=bool(first),
        )


@dataclass(frozen=True, kw_only=True)
class SSDColors(ColorTransformBase):
    """What `ColorAugSSDTransform` draws. What is not changed has the value that changes nothing.

    Attributes:
        img_format: order of the channels.
        brightness: added to the pixels.
        contrast: factor of the pixels.
        saturation: factor of the saturation.
        hue: steps of 2 degrees that the hue is turned by.
        contrast_first: whether contrast comes before saturation and hue.
    """

    img_format: str
    brightness: float = 0.0
    contrast: float = 1.0
    saturation: float = 1.0
    hue: int = 0
    contrast_first: bool = True

    def transform_image(self, image: Tensor) -> Tensor:
        """Return the image (3, H, W), uint8, in other colours.

        Raises:
            TypeError: the image is of another type, or has other channels.
        """
        if image.dtype != torch.uint8 or image.shape[0] != 3:
            raise TypeError(
                f"ColorAugSSDTransform works on uint8 images of 3 channels, got {image.dtype} "
                f"{tuple(image.shape)}"
            )
        image = scaled(image, 1.0, self.brightness)
        if self.contrast_first:
            image = scaled(image, self.contrast)
        if self.saturation != 1.0 or self.hue != 0:
            image = self._turned(image)
        return image if self.contrast_first else scaled(image, self.contrast)

    def _turned(self, image: Tensor) -> Tensor:
        """Change saturation and hue."""
        image = image.flip(0) if self.img_format == "RGB" else image
        hue, saturation, value = bgr_to_hsv(image)
        hue = (hue.int() + self.hue) % 180
        image = hsv_to_bgr(torch.stack((hue.to(torch.uint8), scaled(saturation, self.saturation), value)))
        return image.flip(0) if self.img_format == "RGB" else image


def scaled(values: Tensor, factor: float, offset: float = 0.0) -> Tensor:
    """Multiply and add to uint8 values (...,); results are cut to 0..255 and truncated."""
    if factor == 1.0 and offset == 0.0:
        return values
    return (values.float() * factor + offset).clamp(0, 255).to(torch.uint8)


# OpenCV divides 8-bit colours by looking up reciprocals with 12 bits behind the point
_SHIFT = 12
_DIVISORS = torch.cat((torch.zeros(1), torch.arange(1, 256))).double()


def _reciprocals(scale: int) -> Tensor:
    return ((scale << _SHIFT) / _DIVISORS).round().masked_fill(_DIVISORS == 0, 0).to(torch.int32)


def bgr_to_hsv(image: Tensor) -> Tensor:
    """Convert colours as OpenCV does: uint8 (3, H, W), blue first, to hue (0..179, steps of 2 degrees),
    saturation and value (0..255), uint8 (3, H, W).
    """
    blue, green, red = image.to(torch.int32)
    value = torch.maximum(torch.maximum(blue, green), red)
    spread = value - torch.minimum(torch.minimum(blue, green), red)
    half = 1 << (_SHIFT - 1)
    saturation = (spread * _reciprocals(255)[value] + half) >> _SHIFT
    sector = torch.where(
        value == red,
        green - blue,
        torch.where(value == green, blue - red + 2 * spread, red - green + 4 * spread),
    )
    hue = (sector * _reciprocals(30)[spread] + half) >> _SHIFT
    hue = torch.where(hue < 0, hue + 180, hue)
    return torch.stack((hue, saturation, value)).to(torch.uint8)


def hsv_to_bgr(image: Tensor) -> Tensor:
    """Convert (3, H, W) back: hue, saturation and value as `bgr_to_hsv` gives them, to blue, green and red.

    Fractions are cut off, as OpenCV does; a result may be one level off its.
    """
    hue, saturation, value = image.float()
    hue, saturation, value = hue * (1 / 30), saturation * (1 / 255), value * (1 / 255)
    sector = hue.floor()
    part = hue - sector
    low = value * (1 - saturation)
    falling, rising = value * (1 - saturation * part), value * (1 - saturation * (1 - part))
    table = torch.stack((value, low, falling, rising))
    # which of the four blue, green and red are, in each sixth of the circle
    order = torch.tensor([[1, 3, 0], [1, 0, 2], [3, 0, 1], [0, 2, 1], [0, 1, 3], [2, 1, 0]])
    index = order[sector.long() % 6].movedim(-1, 0)
    return (table.gather(0, index) * 255).to(torch.uint8)
