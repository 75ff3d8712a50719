"""Flips, crops, paddings, resizes, rotations: the deterministic geometric transforms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as tvf

from .clip import clip_polygon_to_rectangle
from .transform import Transform, TransformList


def as_interpolation(interp: InterpolationMode | str) -> InterpolationMode:
    """InterpolationMode from itself or from its name ("nearest", "bilinear", "bicubic", "lanczos", ...).

    Raises:
        ValueError: no such interpolation
    """
    try:
        return InterpolationMode(interp)
    except ValueError:
        names = ", ".join(repr(m.value) for m in InterpolationMode)
        raise ValueError(f"interp must be an InterpolationMode or one of {names}; got {interp!r}") from None


def resize_nearest(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (..., H, W) by copying the nearest pixel, any dtype: the pixels that Pillow takes."""
    rows, cols = (_nearest(old, new) for old, new in zip(image.shape[-2:], size, strict=True))
    return image[..., rows[:, None], cols]


def _nearest(old: int, new: int) -> Tensor:
    """Return which of `old` pixels each of `new` ones takes (new,)."""
    step = np.full(new, old / new)
    step[0] /= 2
    # Pillow adds up the steps, and their rounding decides where a centre falls between two pixels.
    return torch.from_numpy(np.cumsum(step).astype(np.int64)).clamp_(max=old - 1)


def sample_rectangle(
    image: Tensor,
    rectangle: tuple[float, float, float, float],
    size: tuple[int, int],
    *,
    nearest: bool,
    fill: float,
) -> Tensor:
    """Resize the rectangle (x0, y0, x1, y1) of (..., H, W), which may reach out of the image, to `size`.

    Pixels at the border are not blended with what lies outside, which is `fill`. Equal to Pillow's
    `Image.transform` with EXTENT and BILINEAR.
    """
    x0, y0, x1, y1 = rectangle
    h, w = image.shape[-2:]
    ys = y0 + (torch.arange(size[0], dtype=torch.float64) + 0.5) * ((y1 - y0) / size[0])
    xs = x0 + (torch.arange(size[1], dtype=torch.float64) + 0.5) * ((x1 - x0) / size[1])
    inside = ((ys >= 0) & (ys < h))[:, None] & (xs >= 0) & (xs < w)
    if nearest:
        rows, cols = ys.long().clamp(0, h - 1), xs.long().clamp(0, w - 1)
        return image[..., rows[:, None], cols].masked_fill(~inside, fill)
    rows, cols = (ys - 0.5).floor(), (xs - 0.5).floor()
    down, right = (ys - 0.5 - rows)[:, None], xs - 0.5 - cols
    rows, cols = (torch.stack((p, p + 1)).long() for p in (rows, cols))
    rows, cols = rows.clamp_(0, h - 1), cols.clamp_(0, w - 1)
    source = image.to(torch.float64)
    top, bottom = (
        source[..., row[:, None], cols[0]] * (1 - right) + source[..., row[:, None], cols[1]] * right
        for row in rows
    )
    result = (top * (1 - down) + bottom * down).masked_fill(~inside, fill)
    return result.to(image.dtype)  # whole numbers are rounded down, as Pillow does


def warp_affine(
    image: Tensor, matrix: np.ndarray, size: tuple[int, int], *, nearest: bool, fill: float
) -> Tensor:
    """Sample (C, H, W) at `matrix @ (x, y, 1)` for every output pixel centre; outside is `fill`.

    Args:
        matrix: (2, 3), output to input, continuous pixel coordinates.
        size: output (height, width).
    """
    h, w = image.shape[-2:]
    out_h, out_w = size
    # To the [-1, 1] coordinates of grid_sample(align_corners=False), whose convention is the continuous one.
    to_unit = np.array([[2 / w, 0, -1], [0, 2 / h, -1], [0, 0, 1]])
    full = to_unit @ np.vstack([matrix, [0, 0, 1]])
    xs = torch.arange(out_w, dtype=torch.float64) + 0.5
    ys = torch.arange(out_h, dtype=torch.float64) + 0.5
    gx = full[0, 0] * xs[None, :] + full[0, 1] * ys[:, None] + full[0, 2]
    gy = full[1, 0] * xs[None, :] + full[1, 1] * ys[:, None] + full[1, 2]
    work = torch.float64 if nearest and image.dtype not in (torch.uint8, torch.bool) else torch.float32
    grid = torch.stack((gx, gy), dim=-1)[None].to(work)
    source = image.to(work).reshape(1, -1, h, w) - fill
    out = nnf.grid_sample(source, grid, mode="nearest" if nearest else "bilinear", align_corners=False) + fill
    if not image.dtype.is_floating_point:
        out = out.round_()
        if image.dtype == torch.uint8:
            out = out.clamp_(0, 255)
    return out.reshape(*image.shape[:-2], out_h, out_w).to(image.dtype)


@dataclass(frozen=True)
class HFlipTransform(Transform):
    """Mirror left and right. `width`: of the image, pixels."""

    width: int
    swaps_sides = True

    def transform_image(self, image: Tensor) -> Tensor:
        """Mirror pixels (..., H, W) left to right."""
        return image.flip(-1)

    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        """Mirror points (N, 2) left to right."""
        return np.stack((self.width - coords[:, 0], coords[:, 1]), axis=1)

    def inverse(self) -> HFlipTransform:
        """Return the same flip, which undoes itself."""
        return self


@dataclass(frozen=True)
class VFlipTransform(Transform):
    """Mirror top and bottom. `height`: of the image, pixels."""

    height: int

    def transform_image(self, image: Tensor) -> Tensor:
        """Mirror pixels (..., H, W) top to bottom."""
        return image.flip(-2)

    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        """Mirror points (N, 2) top to bottom."""
        return np.stack((coords[:, 0], self.height - coords[:, 1]), axis=1)

    def inverse(self) -> VFlipTransform:
        """Return the same flip, which undoes itself."""
        return self


@dataclass(frozen=True)
class CropTransform(Transform):
    """Keep the rectangle of `w` x `h` pixels whose upper left corner is (x0, y0).

    Boxes and points are shifted, not clipped; polygons are cut at the border. A polygon that crosses itself
    stays one ring, where detectron2 splits and repairs it: up to 0.6 % of the pixels of such masks differ.
    `orig_w`, `orig_h` (size before the crop) are needed by `inverse` only.
    """

    x0: int
    y0: int
    w: int
    h: int
    orig_w: int | None = None
    orig_h: int | None = None

    def transform_image(self, image: Tensor) -> Tensor:
        """Cut pixels (..., H, W) out."""
        return image[..., self.y0 : self.y0 + self.h, self.x0 : self.x0 + self.w]

    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        """Move points (N, 2) by the corner of the crop; they are not clipped."""
        return coords - np.array([self.x0, self.y0], dtype=np.float64)

    def apply_polygons(self, polygons: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Cut polygons, each (K, 2), at the borders of the crop."""
        return [clip_polygon_to_rectangle(p, self.w, self.h) for p in super().apply_polygons(polygons)]

    def inverse(self) -> PadTransform:
        """Return the padding that puts the part back.

        Raises:
            TypeError: the size of the image before is not known.
        """
        if self.orig_w is None or self.orig_h is None:
            raise TypeError(
                "CropTransform.inverse needs orig_w and orig_h, the size of the image before the crop"
            )
        return PadTransform(
            self.x0,
            self.y0,
            self.orig_w - self.x0 - self.w,
            self.orig_h - self.y0 - self.h,
            orig_w=self.w,
            orig_h=self.h,
        )


@dataclass(frozen=True)
class CropByCenterTransform(CropTransform):
    """A crop that empties the boxes whose middle is outside it, so that their objects are dropped."""

    def holds(self, centers: np.ndarray) -> np.ndarray:
        """Return (N,) bool: whether points (N, 2) of the image before lie within the crop."""
        low = np.array([self.x0, self.y0])
        return ((centers > low) & (centers < low + np.array([self.w, self.h]))).all(axis=1)

    def apply_box(self, box: np.ndarray) -> np.ndarray:
        """Move boxes (N, 4); those whose middle is outside become (0, 0, 0, 0)."""
        box = np.asarray(box, dtype=np.float64).reshape(-1, 4)
        kept = self.holds((box[:, :2] + box[:, 2:]) / 2)
        return super().apply_box(box) * kept[:, None]

    def apply_rotated_box(self, box: np.ndarray) -> np.ndarray:
        """Move rotated boxes (N, 5); those whose middle is outside get the width and height 0."""
        box = np.asarray(box, dtype=np.float64).reshape(-1, 5)
        kept = self.holds(box[:, :2])
        box = super().apply_rotated_box(box)
        box[:, 2:4] *= kept[:, None]
        return box


@dataclass(frozen=True)
class PadTransform(Transform):
    """Add x0 columns at the left, x1 at the right, y0 rows at the top, y1 at the bottom.

    `orig_w`, `orig_h` (size before padding) are needed by `inverse` only.
    """

    x0: int
    y0: int
    x1: int
    y1: int
    orig_w: int | None = None
    orig_h: int | None = None
    pad_value: float = 0
    seg_pad_value: int = 0

    def _pad(self, image: Tensor, value: float) -> Tensor:
        return nnf.pad(image, (self.x0, self.x1, self.y0, self.y1), value=value)

    def transform_image(self, image: Tensor) -> Tensor:
        """Surround pixels (..., H, W) with `pad_value`."""
        return self._pad(image, self.pad_value)

    def transform_segmentation(self, segmentation: Tensor) -> Tensor:
        """Surround labels (..., H, W) with `seg_pad_value`."""
        return self._pad(segmentation, self.seg_pad_value)

    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        """Move points (N, 2) by the padding before them."""
        return coords + np.array([self.x0, self.y0], dtype=np.float64)

    def inverse(self) -> CropTransform:
        """Return the crop that takes the padding off.

        Raises:
            TypeError: the size of the image before is not known.
        """
        if self.orig_w is None or self.orig_h is None:
            raise TypeError(
                "PadTransform.inverse needs orig_w and orig_h, the size of the image before padding"
            )
        return CropTransform(
            self.x0,
            self.y0,
            self.orig_w,
            self.orig_h,
            orig_w=self.orig_w + self.x0 + self.x1,
            orig_h=self.orig_h + self.y0 + self.y1,
        )


@dataclass(frozen=True)
class ResizeTransform(Transform):
    """Resize an image of (h, w) to (new_h, new_w).

    Images are antialiased when shrunk, as Pillow does it; on uint8 the result is Pillow's within one grey
    level (about one value in 1,500 differs; 3 to 5 % in images of a few pixels). Segmentations take the
    nearest pixel, the same one as Pillow.
    """

    h: int
    w: int
    new_h: int
    new_w: int
    interp: InterpolationMode | str = InterpolationMode.BILINEAR

    def _check(self, image: Tensor) -> None:
        if tuple(image.shape[-2:]) != (self.h, self.w):
            raise ValueError(
                f"{type(self).__name__} is for images of (h, w) = ({self.h}, {self.w}), "
                f"got one of {tuple(image.shape[-2:])}"
            )

    def transform_image(self, image: Tensor) -> Tensor:
        """Resize pixels (..., H, W) to (..., new_h, new_w)."""
        self._check(image)
        if (self.h, self.w) == (self.new_h, self.new_w):
            return image
        mode = as_interpolation(self.interp)
        if mode in (InterpolationMode.NEAREST, InterpolationMode.NEAREST_EXACT):
            return resize_nearest(image, (self.new_h, self.new_w))
        return tvf.resize_image(image, [self.new_h, self.new_w], interpolation=mode, antialias=True)

    def transform_segmentation(self, segmentation: Tensor) -> Tensor:
        """Resize labels (..., H, W) by the nearest pixel."""
        self._check(segmentation)
        return resize_nearest(segmentation, (self.new_h, self.new_w))

    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        """Scale points (N, 2)."""
        return coords * np.array([self.new_w / self.w, self.new_h / self.h])

    def inverse(self) -> ResizeTransform:
        """Return the resize back to the size before."""
        return type(self)(self.new_h, self.new_w, self.h, self.w, self.interp)


class ScaleTransform(ResizeTransform):
    """`ResizeTransform` under its other name."""


@dataclass(frozen=True)
class ExtentTransform(Transform):
    """Cut the rectangle `src_rect` = (x0, y0, x1, y1), which may lie partly outside, and resize it to
    `output_size` = (height, width). What lies outside is `fill`.

    Label maps take the nearest pixel; detectron2 blends their labels.
    """

    src_rect: tuple[float, float, float, float]
    output_size: tuple[int, int]
    interp: InterpolationMode | str = InterpolationMode.BILINEAR
    fill: float = 0

    def _warp(self, image: Tensor, nearest: bool) -> Tensor:
        return sample_rectangle(image, self.src_rect, self.output_size, nearest=nearest, fill=self.fill)

    def transform_image(self, image: Tensor) -> Tensor:
        """Sample pixels (..., H, W) of the source rectangle."""
        return self._warp(image, as_interpolation(self.interp) != InterpolationMode.BILINEAR)

    def transform_segmentation(self, segmentation: Tensor) -> Tensor:
        """Sample labels (..., H, W) of the source rectangle by the nearest pixel."""
        return self._warp(segmentation, True)

    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        """Move points (N, 2) from the source rectangle to the output."""
        x0, y0, x1, y1 = self.src_rect
        h, w = self.output_size
        return (coords - np.array([x0, y0])) * np.array([w / (x1 - x0), h / (y1 - y0)])


@dataclass(frozen=True, eq=False)
class GridSampleTransform(Transform):
    """Take each pixel from the place that a grid names, as `torch.nn.functional.grid_sample`.

    Attributes:
        grid: (H, W, 2), x and y in the image before, from -1, its left or upper border, to 1; for an image of
            (H, W). Places outside it show its border.
        interp: "bilinear", "bicubic" or "nearest"; labels are never blended.
    """

    grid: np.ndarray
    interp: InterpolationMode | str = InterpolationMode.BILINEAR

    def __post_init__(self) -> None:
        grid = np.asarray(self.grid, dtype=np.float32)
        grid = grid[0] if grid.ndim == 4 and len(grid) == 1 else grid
        if grid.ndim != 3 or grid.shape[2] != 2:
            raise ValueError(f"GridSampleTransform: expected a grid (H, W, 2), got shape {grid.shape}")
        if as_interpolation(self.interp).value not in ("bilinear", "bicubic", "nearest"):
            raise ValueError(
                f"GridSampleTransform: interp={self.interp!r} is not bilinear, bicubic or nearest"
            )
        object.__setattr__(self, "grid", grid)

    def _sample(self, image: Tensor, mode: str) -> Tensor:
        source = image.to(torch.float32).reshape(1, -1, *image.shape[-2:])
        grid = torch.from_numpy(self.grid)[None]
        out = nnf.grid_sample(source, grid, mode=mode, padding_mode="border", align_corners=False)
        if not image.dtype.is_floating_point:
            out = out.round_().clamp_(0, 255) if image.dtype == torch.uint8 else out.round_()
        return out.reshape(*image.shape[:-2], *self.grid.shape[:2]).to(image.dtype)

    def transform_image(self, image: Tensor) -> Tensor:
        """Sample pixels (..., H, W) at the places of the grid."""
        return self._sample(image, as_interpolation(self.interp).value)

    def transform_segmentation(self, segmentation: Tensor) -> Tensor:
        """Take for each pixel of labels (..., H, W) the label at its place in the grid."""
        return self._sample(segmentation, "nearest")

    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        """Raise: the grid says where a pixel comes from, not where a point goes.

        Raises:
            NotImplementedError: always, for any points.
        """
        if len(coords) == 0:
            return np.zeros((0, 2))
        raise NotImplementedError(
            "GridSampleTransform cannot move points, boxes or polygons: its grid says where pixels come from"
        )


@dataclass(frozen=True)
class RotationTransform(Transform):
    """Rotate an image of (h, w) by `angle` degrees counter-clockwise.

    Args:
        expand: enlarge the canvas so that the whole image stays visible.
        center: (x, y) in pixels, the middle of the image when None. Without effect on an expanded canvas.
        interp: "bilinear" or "nearest".
        fill: value of what lies outside the image.
    """

    h: int
    w: int
    angle: float
    expand: bool = True
    center: tuple[float, float] | None = None
    interp: InterpolationMode | str = InterpolationMode.BILINEAR
    fill: float = 0
    bound_h: int = field(init=False)
    bound_w: int = field(init=False)

    def __post_init__(self) -> None:
        bound_h, bound_w = self.h, self.w
        if self.expand:
            cos, sin = (abs(f(math.radians(self.angle))) for f in (math.cos, math.sin))
            bound_w, bound_h = (
                np.rint([self.h * sin + self.w * cos, self.h * cos + self.w * sin]).astype(int).tolist()
            )
        object.__setattr__(self, "bound_h", bound_h)
        object.__setattr__(self, "bound_w", bound_w)

    @property
    def matrix(self) -> np.ndarray:
        """Return the matrix (2, 3) from input to output, in continuous pixel coordinates."""
        cos, sin = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
        middle = np.array([self.w / 2, self.h / 2])
        center = middle if self.center is None or self.expand else np.asarray(self.center, dtype=np.float64)
        target = np.array([self.bound_w / 2, self.bound_h / 2]) if self.expand else center
        rotation = np.array([[cos, sin], [-sin, cos]])  # the y axis points down
        return np.concatenate((rotation, (target - rotation @ center)[:, None]), axis=1)

    def _warp(self, image: Tensor, nearest: bool) -> Tensor:
        if self.angle % 360 == 0:
            return image
        rotation, shift = self.matrix[:, :2], self.matrix[:, 2]
        back = np.concatenate((rotation.T, -(rotation.T @ shift)[:, None]), axis=1)
        return warp_affine(image, back, (self.bound_h, self.bound_w), nearest=nearest, fill=self.fill)

    def transform_image(self, image: Tensor) -> Tensor:
        """Rotate pixels (..., H, W)."""
        return self._warp(image, as_interpolation(self.interp) != InterpolationMode.BILINEAR)

    def transform_segmentation(self, segmentation: Tensor) -> Tensor:
        """Rotate labels (..., H, W) by the nearest pixel."""
        return self._warp(segmentation, True)

    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        """Rotate points (N, 2)."""
        if self.angle % 360 == 0:
            return coords
        matrix = self.matrix
        return coords @ matrix[:, :2].T + matrix[:, 2]

    def inverse(self) -> TransformList:
        """Return the rotation back, and a crop.

        Raises:
            TypeError: corners were cut off.
        """
        if not self.expand:
            raise TypeError("RotationTransform with expand=False has no inverse: corners were cut off")
        back = RotationTransform(self.bound_h, self.bound_w, -self.angle, True, None, self.interp, self.fill)
        x0, y0 = (back.bound_w - self.w) // 2, (back.bound_h - self.h) // 2
        return TransformList([back, CropTransform(x0, y0, self.w, self.h, back.bound_w, back.bound_h)])
