"""Affine maps of the plane: rotation, scaling, shear and translation in one, and their random draw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor
from torchvision.transforms import InterpolationMode

from .augmentation import AugInput, Augmentation, from_image
from .checks import check_either_way, check_number, check_probability, check_range, check_size
from .clip import clip_polygon_to_rectangle
from .geometric import as_interpolation, warp_affine
from .transform import NoOpTransform, Transform

Matrix = tuple[tuple[float, float, float], tuple[float, float, float]]


@dataclass(frozen=True)
class AffineTransform(Transform):
    """Map an image of (h, w) by a matrix onto one of (new_h, new_w).

    Polygons are cut at the border; boxes and points are moved, not clipped. Images are not antialiased when
    shrunk.

    Args:
        matrix: (2, 3) from input to output, in continuous pixel coordinates. Must not mirror.
        interp: "bilinear" or "nearest".
        fill, seg_fill: value of what lies outside the image, and outside a label map.

    Raises:
        ValueError: the matrix mirrors, or has no inverse.
    """

    matrix: Matrix
    h: int
    w: int
    new_h: int
    new_w: int
    interp: InterpolationMode | str = InterpolationMode.BILINEAR
    fill: float = 0
    seg_fill: int = 255

    def __post_init__(self) -> None:
        (a, b, _), (c, d, _) = self.matrix
        if not a * d - b * c > 1e-9:
            raise ValueError(
                f"AffineTransform: the matrix {self.matrix} must keep left and right apart and have an "
                "inverse (a positive determinant); mirror with HFlipTransform, which swaps keypoints too"
            )

    def _inverse_matrix(self) -> np.ndarray:
        return np.linalg.inv(np.vstack([np.array(self.matrix, dtype=np.float64), [0, 0, 1]]))[:2]

    def _warp(self, image: Tensor, nearest: bool, fill: float) -> Tensor:
        if tuple(image.shape[-2:]) != (self.h, self.w):
            raise ValueError(
                f"AffineTransform is for images of (h, w) = ({self.h}, {self.w}), got one of "
                f"{tuple(image.shape[-2:])}"
            )
        size = (self.new_h, self.new_w)
        return warp_affine(image, self._inverse_matrix(), size, nearest=nearest, fill=fill)

    def transform_image(self, image: Tensor) -> Tensor:
        """Map pixels (..., h, w) to (..., new_h, new_w)."""
        nearest = as_interpolation(self.interp) != InterpolationMode.BILINEAR
        return self._warp(image, nearest, self.fill)

    def transform_segmentation(self, segmentation: Tensor) -> Tensor:
        """Map labels (..., h, w) by the nearest pixel."""
        return self._warp(segmentation, True, self.seg_fill)

    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        """Map points (N, 2)."""
        matrix = np.array(self.matrix, dtype=np.float64)
        return coords @ matrix[:, :2].T + matrix[:, 2]

    def apply_polygons(self, polygons: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Map polygons, each (K, 2), and cut them at the border."""
        moved = super().apply_polygons(polygons)
        return [clip_polygon_to_rectangle(p, self.new_w, self.new_h) for p in moved]

    def inverse(self) -> AffineTransform:
        """Return the map back."""
        first, second = self._inverse_matrix().tolist()
        return AffineTransform(
            (tuple(first), tuple(second)),
            self.new_h,
            self.new_w,
            self.h,
            self.w,
            self.interp,
            self.fill,
            self.seg_fill,
        )


def affine_matrix(
    old_size: tuple[int, int],
    new_size: tuple[int, int],
    *,
    angle: float = 0.0,
    scale: float = 1.0,
    shear: tuple[float, float] = (0.0, 0.0),
    shift: tuple[float, float] = (0.0, 0.0),
) -> Matrix:
    """Return the matrix that shears, scales and rotates about the middle, and puts the middle of the old
    image on that of the new one.

    Args:
        old_size, new_size: (height, width).
        angle: degrees, counter-clockwise.
        shear: along x and y, degrees in (-90, 90).
        shift: of the middle, (x, y) in pixels of the new image.
    """
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    tan_x, tan_y = (math.tan(math.radians(s)) for s in shear)
    rotation = np.array([[cos, sin], [-sin, cos]])  # the y axis points down
    linear = scale * rotation @ np.array([[1, tan_x], [0, 1]]) @ np.array([[1, 0], [tan_y, 1]])
    old, new = (np.array([w / 2, h / 2]) for h, w in (old_size, new_size))
    offset = new + np.array(shift) - linear @ old
    first, second = np.concatenate((linear, offset[:, None]), axis=1).tolist()
    return tuple(first), tuple(second)


class RandomAffine(Augmentation):
    """Rotate, scale, shear and shift about the middle, with probability `prob`.

    Args:
        degrees: rotation, (lowest, highest) counter-clockwise, or one number for either way.
        translate: largest shift in x and y, in parts of the new image.
        scale: (lowest, highest) factor.
        shear: degrees along x and y, (lowest, highest) or one number for either way; both are drawn.
        size: (height, width) of the result; None: that of the image. The middle of the image becomes the
            middle of the result, whether it is drawn or not.
        interp: "bilinear" or "nearest".
        fill, seg_fill: value of what lies outside the image, and outside a label map.
    """

    def __init__(
        self,
        degrees: float | Sequence[float] = 0.0,
        translate: Sequence[float] = (0.1, 0.1),
        scale: Sequence[float] = (0.5, 1.5),
        shear: float | Sequence[float] = 0.0,
        size: int | tuple[int, int] | None = None,
        interp: InterpolationMode | str = InterpolationMode.BILINEAR,
        fill: float = 114,
        seg_fill: int = 255,
        prob: float = 1.0,
    ) -> None:
        name = "RandomAffine"
        self.degrees = check_either_way(name, "degrees", degrees)
        if isinstance(translate, str) or not isinstance(translate, Sequence) or len(translate) != 2:
            raise ValueError(f"{name}: translate must be (x, y), got {translate!r}")
        self.translate = tuple(check_number(name, "translate", t, 0, 1) for t in translate)
        self.scale = check_range(name, "scale", scale, 1e-2)
        self.shear = check_either_way(name, "shear", shear)
        if not -60 <= self.shear[0] <= self.shear[1] <= 60:
            raise ValueError(f"{name}: shear must lie in -60..60 degrees, got {shear!r}")
        self.size = None if size is None else check_size(name, "size", size)
        self.interp = as_interpolation(interp)
        self.fill = check_number(name, "fill", fill)
        self.seg_fill = seg_fill
        self.prob = check_probability(name, "prob", prob)

    @from_image
    def get_transform(self, aug_input: AugInput, rng: np.random.Generator) -> Transform:
        """Return an affine map; a transform that does nothing where none was drawn and the size stays."""
        old = aug_input.image_size
        new = old if self.size is None else self.size
        used = rng.random() < self.prob
        angle, scale = float(rng.uniform(*self.degrees)), float(rng.uniform(*self.scale))
        shear = rng.uniform(*self.shear, size=2).tolist()
        shift = (rng.uniform(-1, 1, size=2) * self.translate * [new[1], new[0]]).tolist()
        if not used and old == new:
            return NoOpTransform()
        drawn = {"angle": angle, "scale": scale, "shear": tuple(shear), "shift": tuple(shift)} if used else {}
        matrix = affine_matrix(old, new, **drawn)
        return AffineTransform(matrix, *old, *new, self.interp, self.fill, self.seg_fill)
