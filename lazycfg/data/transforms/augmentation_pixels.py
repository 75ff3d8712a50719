"""Random changes of pixels that move nothing. What depends on the order of the channels takes it from
`AugInput.channel_order`, which the mapper sets.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from .augmentation import AugInput, Augmentation, from_image
from .checks import check_count, check_number, check_probability, check_range
from .pixels import (
    BlurTransform,
    EraseTransform,
    HSVTransform,
    JPEGTransform,
    NoiseTransform,
    PhotometricTransform,
)
from .transform import NoOpTransform, Transform


def draw_seed(rng: np.random.Generator) -> int:
    """Return a seed for a transform that makes noise when it is applied."""
    return int(rng.integers(2**32))


class RandomHSV(Augmentation):
    """Turn the hue by up to `hue` turns either way, and multiply saturation and value by factors drawn evenly
    from [1 - saturation, 1 + saturation] and [1 - value, 1 + value], as YOLO detectors are trained.

    Args:
        hue, saturation, value: each from 0 (no change) to 1; hue to 0.5.
        prob: of changing an image.
    """

    def __init__(
        self, hue: float = 0.015, saturation: float = 0.7, value: float = 0.4, prob: float = 1.0
    ) -> None:
        self.hue = check_number("RandomHSV", "hue", hue, 0, 0.5)
        self.saturation = check_number("RandomHSV", "saturation", saturation, 0, 1)
        self.value = check_number("RandomHSV", "value", value, 0, 1)
        self.prob = check_probability("RandomHSV", "prob", prob)

    @from_image
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> Transform:
        """Return a change of hue, saturation and value."""
        used, hue, saturation, value = rng.random(), *rng.uniform(-1, 1, 3).tolist()
        if used >= self.prob:
            return NoOpTransform()
        return HSVTransform(
            hue * self.hue, 1 + saturation * self.saturation, 1 + value * self.value, aug_input.channel_order
        )


class PhotometricDistortion(Augmentation):
    """Change brightness, contrast, saturation and hue, each with probability `prob`, and shuffle the channels
    (Liu et al., "SSD: Single Shot MultiBox Detector", 2016, section 2.2). Contrast comes before the change
    of colours or after it, by chance.

    Args:
        brightness: at most so much is added or taken away, in parts of white.
        contrast, saturation: (lowest, highest) factor.
        hue: at most so many turns either way.
        prob: of each change.
        swap_prob: of a new order of the channels.
    """

    def __init__(
        self,
        brightness: float = 32 / 255,
        contrast: Sequence[float] = (0.5, 1.5),
        saturation: Sequence[float] = (0.5, 1.5),
        hue: float = 18 / 360,
        prob: float = 0.5,
        swap_prob: float = 0.5,
    ) -> None:
        name = "PhotometricDistortion"
        self.brightness = check_number(name, "brightness", brightness, 0, 1)
        self.contrast = check_range(name, "contrast", contrast, 0)
        self.saturation = check_range(name, "saturation", saturation, 0)
        self.hue = check_number(name, "hue", hue, 0, 0.5)
        self.prob = check_probability(name, "prob", prob)
        self.swap_prob = check_probability(name, "swap_prob", swap_prob)

    @from_image
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> Transform:
        """Return the changes that were drawn, as one transform."""
        # All numbers are drawn, used or not, so that one argument does not change what the others draw.
        used = rng.random(4) < self.prob
        brightness, hue = (float(rng.uniform(-most, most)) for most in (self.brightness, self.hue))
        contrast, saturation = (float(rng.uniform(*ends)) for ends in (self.contrast, self.saturation))
        contrast_last, swap = bool(rng.random() < 0.5), rng.random() < self.swap_prob
        channels = rng.permutation(3).tolist() if swap else [0, 1, 2]
        return PhotometricTransform(
            brightness=brightness if used[0] else 0.0,
            contrast=contrast if used[1] else 1.0,
            saturation=saturation if used[2] else 1.0,
            hue=hue if used[3] else 0.0,
            contrast_last=contrast_last,
            channels=(channels[0], channels[1], channels[2]),
            channel_order=aug_input.channel_order,
        )


class RandomBlur(Augmentation):
    """Blur with a Gaussian of drawn width, with probability `prob`.

    Args:
        sigma: (lowest, highest) standard deviation, pixels.
    """

    def __init__(self, sigma: Sequence[float] = (0.1, 2.0), prob: float = 0.5) -> None:
        self.sigma = check_range("RandomBlur", "sigma", sigma, 1e-3)
        self.prob = check_probability("RandomBlur", "prob", prob)

    @from_image
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> Transform:
        """Return a blur, or a transform that does nothing."""
        used, sigma = rng.random() < self.prob, float(rng.uniform(*self.sigma))
        return BlurTransform(sigma) if used else NoOpTransform()


class RandomNoise(Augmentation):
    """Add Gaussian noise of drawn strength, with probability `prob`.

    Args:
        std: (lowest, highest) standard deviation, in parts of white.
    """

    def __init__(self, std: Sequence[float] = (0.0, 0.05), prob: float = 0.5) -> None:
        self.std = check_range("RandomNoise", "std", std, 0, 1)
        self.prob = check_probability("RandomNoise", "prob", prob)

    @from_image
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> Transform:
        """Return noise, or a transform that does nothing."""
        used, std, seed = rng.random() < self.prob, float(rng.uniform(*self.std)), draw_seed(rng)
        return NoiseTransform(std, seed) if used else NoOpTransform()


class RandomJPEG(Augmentation):
    """Compress as JPEG with a drawn quality and decompress again, with probability `prob`.

    Args:
        quality: (lowest, highest), whole numbers from 1 to 95.
    """

    def __init__(self, quality: Sequence[int] = (40, 95), prob: float = 0.5) -> None:
        low, high = check_range("RandomJPEG", "quality", quality, 1, 95)
        if low != int(low) or high != int(high):
            raise ValueError(f"RandomJPEG: quality must be two whole numbers, got {quality!r}")
        self.quality = (int(low), int(high))
        self.prob = check_probability("RandomJPEG", "prob", prob)

    @from_image
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> Transform:
        """Return a compression, or a transform that does nothing."""
        used, quality = rng.random() < self.prob, int(rng.integers(self.quality[0], self.quality[1] + 1))
        return JPEGTransform(quality, aug_input.channel_order) if used else NoOpTransform()


class RandomErasing(Augmentation):
    """Fill rectangles of drawn place and size (Zhong et al., "Random Erasing", 2017), with probability
    `prob`. Objects below keep their annotations.

    Args:
        scale: (smallest, largest) area of a rectangle, in parts of the image.
        ratio: (lowest, highest) height by width; drawn evenly on a logarithmic scale.
        value: to fill with, or "noise".
        max_count: up to so many rectangles, at least one.
    """

    def __init__(
        self,
        scale: Sequence[float] = (0.02, 0.2),
        ratio: Sequence[float] = (0.3, 3.3),
        value: float | Literal["noise"] = "noise",
        max_count: int = 1,
        prob: float = 0.5,
    ) -> None:
        name = "RandomErasing"
        self.scale = check_range(name, "scale", scale, 0, 1)
        self.ratio = check_range(name, "ratio", ratio, 1e-3)
        if value != "noise":
            check_number(name, 'value (or "noise")', value, 0)
        self.value: float | Literal["noise"] = value
        self.max_count = check_count(name, "max_count", max_count)
        self.prob = check_probability(name, "prob", prob)

    @from_image
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> Transform:
        """Return an erasure, or a transform that does nothing."""
        height, width = aug_input.image_size
        if rng.random() >= self.prob:
            return NoOpTransform()
        boxes = []
        for _ in range(int(rng.integers(1, self.max_count + 1))):
            area = rng.uniform(*self.scale) * height * width
            ratio = math.exp(rng.uniform(math.log(self.ratio[0]), math.log(self.ratio[1])))
            h, w = (max(1, round(math.sqrt(area * r))) for r in (ratio, 1 / ratio))
            h, w = min(h, height), min(w, width)
            y0, x0 = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
            boxes.append((x0, y0, x0 + w, y0 + h))
        value = None if self.value == "noise" else float(self.value)
        return EraseTransform(tuple(boxes), value, draw_seed(rng))
