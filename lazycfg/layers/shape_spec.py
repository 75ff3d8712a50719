"""The shape of a feature map, as backbones tell it to what follows."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ShapeSpec:
    """What is known of a feature map before any image is seen: the contract between modules.

    Attributes:
        channels: number of channels.
        height, width: size in pixels, where it is fixed.
        stride: input pixels per pixel of this map.
    """

    channels: int | None = None
    height: int | None = None
    width: int | None = None
    stride: int | None = None
