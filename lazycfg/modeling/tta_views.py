"""The views of one image that test-time augmentation looks at: resized, mirrored, and how to get back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as tvf

__all__ = ["DatasetMapperTTA", "ViewTransform"]


class PointTransform(Protocol):
    """What a view must tell of itself; the transforms of `lazycfg.data` do too."""

    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        """Points (N, 2) as (x, y) in pixels of the original image to points of the view."""
        ...


@dataclass(frozen=True)
class ViewTransform:
    """Resizing and mirroring along the axes: ``(x, y) * scale + shift``, continuous pixels.

    Args:
        scale: (x, y), negative where mirrored.
        shift: (x, y) in pixels of the view.
    """

    scale: tuple[float, float]
    shift: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def of(cls, transform: PointTransform) -> ViewTransform:
        """Of any transform of points that only resizes, mirrors, crops or pads.

        Raises:
            ValueError: it does something else.
        """
        points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [64.0, 48.0]])
        moved = np.asarray(transform.apply_coords(points.copy()), dtype=np.float64)
        shift, right, down = moved[0], moved[1] - moved[0], moved[2] - moved[0]
        found = cls((float(right[0]), float(down[1])), (float(shift[0]), float(shift[1])))
        if not np.allclose(found.apply_coords(points), moved, atol=1e-6) or 0.0 in found.scale:
            raise ValueError(
                f"test-time augmentation can undo resizing and mirroring only, not {transform}: masks and "
                "keypoints are averaged in their upright boxes"
            )
        return found

    def apply_coords(self, coords: np.ndarray) -> np.ndarray:
        """Points (N, 2) as (x, y) to points of the view."""
        return np.asarray(coords) * np.array(self.scale) + np.array(self.shift)

    def inverse(self) -> ViewTransform:
        """From the view back to the original."""
        (sx, sy), (tx, ty) = self.scale, self.shift
        return ViewTransform((1 / sx, 1 / sy), (-tx / sx, -ty / sy))

    @property
    def mirrored(self) -> tuple[bool, bool]:
        """Return whether left and right, and whether top and bottom are exchanged."""
        return self.scale[0] < 0, self.scale[1] < 0


class DatasetMapperTTA:
    """Makes the views for test-time augmentation: the image at several sizes, each also mirrored.

    It works on what another mapper gives, on the device that image is on. Leave resizing out of that mapper:
    each view is then made of the original pixels.

    Args:
        min_sizes: lengths of the shorter side, pixels; one view (or two, with `flip`) for each.
        max_size: longest allowed side; a view is scaled down as a whole when it would be longer.
        flip: mirror left and right too.
    """

    def __init__(
        self,
        *,
        min_sizes: Sequence[int] = (400, 500, 600, 700, 800, 900, 1000, 1100, 1200),
        max_size: int = 4000,
        flip: bool = True,
    ) -> None:
        if not min_sizes or min(min_sizes) < 1 or max_size < 1:
            raise ValueError(
                "DatasetMapperTTA: min_sizes needs at least one size, and all sizes must be at least 1; "
                f"got {list(min_sizes)} and max_size={max_size}"
            )
        self.min_sizes = tuple(int(size) for size in min_sizes)
        self.max_size = int(max_size)
        self.flip = flip

    def __call__(self, dataset_dict: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the views of an image.

        Args:
            dataset_dict: with "image" (C, H, W), and "height" and "width" of the original (by default those
                of the image).

        Returns:
            For each view a dict with its "image", "transforms" (from the original to the view: a
            `ViewTransform`) and whatever else was in `dataset_dict`.
        """
        image = dataset_dict["image"]
        height, width = int(image.shape[-2]), int(image.shape[-1])
        original = int(dataset_dict.get("height", height)), int(dataset_dict.get("width", width))
        views = []
        for size in self.min_sizes:
            new = self.output_shape(height, width, size)
            resized = resize(image, new)
            x, y = new[1] / original[1], new[0] / original[0]
            views.append({**dataset_dict, "image": resized, "transforms": ViewTransform((x, y))})
            if self.flip:
                mirror = ViewTransform((-x, y), (float(new[1]), 0.0))
                views.append({**dataset_dict, "image": resized.flip(-1), "transforms": mirror})
        return views

    def output_shape(self, height: int, width: int, size: int) -> tuple[int, int]:
        """Return (height, width) of the view whose shorter side is `size`, as `ResizeShortestEdge` computes
        it.
        """
        scale = size / min(height, width)
        sides = (size, scale * width) if height < width else (scale * height, size)
        if max(sides) > self.max_size:
            shrink = self.max_size / max(sides)
            sides = (sides[0] * shrink, sides[1] * shrink)
        return int(sides[0] + 0.5), int(sides[1] + 0.5)

    def __repr__(self) -> str:
        return f"DatasetMapperTTA(min_sizes={self.min_sizes}, max_size={self.max_size}, flip={self.flip})"


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Return an image (C, H, W) resized to (height, width), bilinear and antialiased, as the mappers of
    `lazycfg.data` do it.
    """
    if tuple(image.shape[-2:]) == size:
        return image
    return tvf.resize_image(image, list(size), antialias=True)


def affine_rows(
    transforms: Sequence[ViewTransform], counts: Sequence[int], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return the scale and the shift of the boxes of several views, both (R, 4) for XYXY, R the sum of
    counts.
    """
    table = torch.tensor([(*t.scale, *t.scale, *t.shift, *t.shift) for t in transforms]).reshape(-1, 8)
    if device.type == "cuda":
        table = table.pin_memory()
    rows = table.to(device, non_blocking=True)
    total = sum(counts)
    if all(count == counts[0] for count in counts):
        rows = rows.repeat_interleave(counts[0] if counts else 0, dim=0, output_size=total)
    else:
        repeats = torch.tensor(list(counts)).to(device, non_blocking=True)
        rows = rows.repeat_interleave(repeats, dim=0, output_size=total)
    return rows[:, :4], rows[:, 4:]


def move_boxes(boxes: Tensor, transforms: Sequence[ViewTransform], counts: Sequence[int]) -> Tensor:
    """Boxes (N, 4) XYXY, `counts` of them for each transform, all at once."""
    scale, shift = affine_rows(transforms, counts, boxes.device)
    a, b = (boxes * scale + shift).view(-1, 2, 2).unbind(dim=1)
    return torch.cat((torch.minimum(a, b), torch.maximum(a, b)), dim=1)
