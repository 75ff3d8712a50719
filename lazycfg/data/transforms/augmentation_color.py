"""Random changes of brightness, contrast, saturation and lighting."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from .augmentation import AugInput, Augmentation, from_image
from .color import BlendTransform
from .pixels import check_color, grey_of
from .transform import Transform, to_chw

ChannelOrder = Literal["RGB", "BGR"]


class _RandomIntensity(Augmentation):
    """A weight drawn evenly from [intensity_min, intensity_max]: below 1 less, 1 as it is, above 1 more."""

    def __init__(self, intensity_min: float, intensity_max: float) -> None:
        if intensity_min > intensity_max:
            raise ValueError(
                f"{type(self).__name__}: intensity_min {intensity_min} > intensity_max {intensity_max}"
            )
        self.intensity_min = intensity_min
        self.intensity_max = intensity_max

    def draw(self, rng: np.random.Generator) -> float:
        """Draw the weight."""
        return float(rng.uniform(self.intensity_min, self.intensity_max))


class RandomContrast(_RandomIntensity):
    """Mix with the image's mean."""

    @from_image
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> Transform:
        """Return a blend with the mean of the image, a scalar."""
        w = self.draw(rng)
        return BlendTransform(float(to_chw(aug_input.image).float().mean()), 1 - w, w)


class RandomBrightness(_RandomIntensity):
    """Mix with black."""

    @from_image
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> Transform:
        """Return a blend with black."""
        w = self.draw(rng)
        return BlendTransform(0.0, 1 - w, w)


class RandomSaturation(_RandomIntensity):
    """Mix with the image's grey version. `channel_order`: of the image it is applied to."""

    def __init__(
        self, intensity_min: float, intensity_max: float, channel_order: ChannelOrder = "RGB"
    ) -> None:
        super().__init__(intensity_min=intensity_min, intensity_max=intensity_max)
        self.channel_order = channel_order

    @from_image
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> Transform:
        """Return a blend with the grey version of the image.

        Raises:
            ValueError: the image has neither one nor three channels.
        """
        image = to_chw(aug_input.image)
        if image.shape[0] != 1:
            check_color(self, image)
        w = self.draw(rng)
        return BlendTransform(grey_of(image, self.channel_order), 1 - w, w)


class RandomLighting(Augmentation):
    """Add a colour drawn along the principal components of ImageNet's colours
    (Krizhevsky et al., "ImageNet Classification with Deep CNNs", 2012).

    Args:
        scale: standard deviation of the weights.
        channel_order: of the image it is applied to.
    """

    def __init__(self, scale: float, channel_order: ChannelOrder = "RGB") -> None:
        self.scale = scale
        self.channel_order = channel_order

    @from_image
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> Transform:
        """Return a shift of all pixels along the principal components of ImageNet's colours.

        Raises:
            ValueError: the image has not three channels.
        """
        check_color(self, to_chw(aug_input.image))
        vectors = np.array(
            [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
        )
        values = np.array([0.2175, 0.0188, 0.0045])
        color = vectors @ (rng.normal(scale=self.scale, size=3) * values)
        if self.channel_order == "BGR":
            color = color[::-1].copy()
        return BlendTransform(torch.from_numpy(color).float()[:, None, None], 1.0, 1.0)
