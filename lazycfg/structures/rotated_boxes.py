"""Rotated boxes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from lazycfg.structures.rotated_overlap import pairwise_iou_rotated, upright_reach

__all__ = ["RotatedBoxes", "clip_rotated", "pairwise_iou", "scale_rotated"]


class RotatedBoxes:
    """N rotated boxes: one float32 tensor (N, 5) of (xc, yc, width, height, angle).

    Centre and size are in pixels. The angle is in degrees, counter-clockwise as seen in the image: a box of
    angle 0 is upright, one of angle 90 has its width along the vertical. (xc, yc, w, h, t) is the same region
    as (xc, yc, h, w, t - 90) and as t + 180 or t + 360, but names another direction as its front: nothing
    here exchanges them.
    """

    tensor: Tensor

    def __init__(self, tensor: Any) -> None:
        if not isinstance(tensor, Tensor):
            tensor = torch.as_tensor(tensor, dtype=torch.float32)
        tensor = tensor.to(torch.float32)
        if tensor.numel() == 0:
            tensor = tensor.reshape(-1, 5)
        if tensor.dim() != 2 or tensor.shape[-1] != 5:
            raise ValueError(f"RotatedBoxes: expected a tensor of shape (N, 5), got {tuple(tensor.shape)}")
        self.tensor = tensor

    def clone(self) -> RotatedBoxes:
        """Return a copy."""
        return RotatedBoxes(self.tensor.clone())

    def to(self, device: torch.device | str, non_blocking: bool = False) -> RotatedBoxes:
        """Return a copy on a device."""
        return RotatedBoxes(self.tensor.to(device=device, non_blocking=non_blocking))

    def pin_memory(self) -> RotatedBoxes:
        """Return a copy in page-locked memory, which a GPU fetches faster."""
        return RotatedBoxes(self.tensor.pin_memory())

    @property
    def device(self) -> torch.device:
        """Return the device of the tensors."""
        return self.tensor.device

    def area(self) -> Tensor:
        """Return (N,) areas in square pixels."""
        return self.tensor[:, 2] * self.tensor[:, 3]

    def normalize_angles(self) -> None:
        """Bring the angles into [-180, 180) in place."""
        self.tensor[:, 4] = normalized_angle(self.tensor[:, 4])

    def clip(self, box_size: tuple[int, int], clip_angle_threshold: float = 1.0) -> None:
        """Clip in place the boxes that are nearly upright to an image of (height, width): `clip_rotated`.

        Args:
            box_size: (height, width) in pixels.
            clip_angle_threshold: boxes of at most this absolute angle are clipped.
        """
        height, width = box_size
        self.tensor = clip_rotated(self.tensor, width, height, clip_angle_threshold)

    def nonempty(self, threshold: float = 0.0) -> Tensor:
        """Return (N,) bool: whether both sides are longer than ``threshold`` pixels."""
        return (self.tensor[:, 2:4] > threshold).all(dim=1)

    def inside_box(self, box_size: tuple[int, int], boundary_threshold: int = 0) -> Tensor:
        """Return (N,) bool: whether the upright hull stays within (height, width), up to some pixels."""
        height, width = box_size
        reach = upright_reach(self.tensor)
        x0, y0 = (self.tensor[:, :2] - reach).unbind(dim=1)
        x1, y1 = (self.tensor[:, :2] + reach).unbind(dim=1)
        t = boundary_threshold
        return (x0 >= -t) & (y0 >= -t) & (x1 < width + t) & (y1 < height + t)

    def get_centers(self) -> Tensor:
        """Return (N, 2) centres as (x, y)."""
        return self.tensor[:, :2]

    def scale(self, scale_x: float, scale_y: float) -> None:
        """Scale in place together with the image.

        With unequal factors a rotated box becomes a parallelogram. It is replaced by the box with the same
        centre whose sides are as long as those of the parallelogram, turned like its height.
        """
        self.tensor = scale_rotated(self.tensor, scale_x, scale_y)

    @classmethod
    def cat(cls, boxes_list: list[RotatedBoxes] | tuple[RotatedBoxes, ...]) -> RotatedBoxes:
        """Concatenate all boxes of the list, in order; no boxes for an empty list.

        Raises:
            TypeError: the list holds something else than RotatedBoxes.
        """
        if not isinstance(boxes_list, (list, tuple)) or not all(
            isinstance(b, RotatedBoxes) for b in boxes_list
        ):
            raise TypeError("RotatedBoxes.cat: expected a list of RotatedBoxes")
        if len(boxes_list) == 0:
            return cls(torch.empty(0, 5))
        return cls(torch.cat([b.tensor for b in boxes_list], dim=0))

    def __getitem__(self, item: int | slice | Tensor | list[int]) -> RotatedBoxes:
        """Return the boxes at an index, slice, bool mask or index tensor; always a ``RotatedBoxes``."""
        if isinstance(item, int):
            return RotatedBoxes(self.tensor[item].view(1, -1))
        selected = self.tensor[item]
        if selected.dim() != 2:
            shape = tuple(selected.shape)
            raise IndexError(f"indexing {len(self)} RotatedBoxes with {item!r} gives shape {shape}")
        return RotatedBoxes(selected)

    def __len__(self) -> int:
        return self.tensor.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        """Yield one tensor (5,) per box."""
        yield from self.tensor

    def __repr__(self) -> str:
        return f"RotatedBoxes({self.tensor})"


def normalized_angle(degrees: Tensor) -> Tensor:
    """Return angles (...,) in [-180, 180)."""
    return (degrees + 180.0) % 360.0 - 180.0


def clip_rotated(
    boxes: Tensor, width: Tensor | float, height: Tensor | float, angle_threshold: float = 1.0
) -> Tensor:
    """Clip the boxes that are nearly upright to images; only they remain boxes when clipped.

    The others keep their place and size, whatever they reach out of the image. All angles are normalised.
    Sizes never grow.

    Args:
        boxes: (..., 5).
        width, height: of the image in pixels, or tensors (...) that broadcast.
        angle_threshold: boxes of at most this absolute angle are clipped.
    """
    x, y, w, h, angle = boxes.unbind(-1)
    angle = normalized_angle(angle)
    x0, x1 = _cut(x - w / 2, width), _cut(x + w / 2, width)
    y0, y1 = _cut(y - h / 2, height), _cut(y + h / 2, height)
    clipped = ((x0 + x1) / 2, (y0 + y1) / 2, torch.minimum(w, x1 - x0), torch.minimum(h, y1 - y0))
    upright = angle.abs() <= angle_threshold
    kept = [torch.where(upright, new, old) for new, old in zip(clipped, (x, y, w, h), strict=True)]
    return torch.stack((*kept, angle), dim=-1)


def _cut(values: Tensor, limit: Tensor | float) -> Tensor:
    values = values.clamp(min=0)
    return torch.minimum(values, limit) if isinstance(limit, Tensor) else values.clamp(max=limit)


def scale_rotated(boxes: Tensor, scale_x: Tensor | float, scale_y: Tensor | float) -> Tensor:
    """Boxes (..., 5) scaled with their images by numbers, or tensors (...); see `RotatedBoxes.scale`."""
    x, y, w, h, angle = boxes.unbind(-1)
    theta = angle * (math.pi / 180)
    cos, sin = torch.cos(theta), torch.sin(theta)
    w = w * torch.sqrt((scale_x * cos) ** 2 + (scale_y * sin) ** 2)
    h = h * torch.sqrt((scale_x * sin) ** 2 + (scale_y * cos) ** 2)
    angle = torch.atan2(scale_x * sin, scale_y * cos) * (180 / math.pi)
    return torch.stack((x * scale_x, y * scale_y, w, h, angle), dim=-1)


def pairwise_iou(boxes1: RotatedBoxes, boxes2: RotatedBoxes) -> Tensor:
    """Return (M, N) intersection over union of all pairs of two lists of rotated boxes."""
    return pairwise_iou_rotated(boxes1.tensor, boxes2.tensor)
