"""Upright boxes, and the overlaps between sets of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

__all__ = [
    "Boxes",
    "matched_pairwise_iou",
    "pairwise_intersection",
    "pairwise_ioa",
    "pairwise_iou",
    "pairwise_point_box_distance",
]

# Entries of an overlap matrix computed at a time: bounds the temporaries at 3 x 64 MiB in float32.
_CHUNK_ENTRIES = 1 << 24


class Boxes:
    """N axis-aligned boxes: one float32 tensor (N, 4) of XYXY in pixels.

    ``Boxes(tensor)`` shares the memory of a float32 tensor. Anything array-like is accepted.
    """

    tensor: Tensor

    def __init__(self, tensor: Any) -> None:
        if not isinstance(tensor, Tensor):
            tensor = torch.as_tensor(tensor, dtype=torch.float32)
        tensor = tensor.to(torch.float32)
        if tensor.numel() == 0:
            # An empty list of boxes has lost its second dimension; the result must keep the graph.
            tensor = tensor.reshape(-1, 4)
        if tensor.dim() != 2 or tensor.shape[-1] != 4:
            raise ValueError(f"Boxes: expected a tensor of shape (N, 4), got {tuple(tensor.shape)}")
        self.tensor = tensor

    def clone(self) -> Boxes:
        """Return a copy."""
        return Boxes(self.tensor.clone())

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Boxes:
        """Return a copy on a device."""
        return Boxes(self.tensor.to(device=device, non_blocking=non_blocking))

    def pin_memory(self) -> Boxes:
        """Return a copy in page-locked memory, which a GPU fetches faster."""
        return Boxes(self.tensor.pin_memory())

    @property
    def device(self) -> torch.device:
        """Return the device of the tensors."""
        return self.tensor.device

    def area(self) -> Tensor:
        """Return (N,) areas in square pixels."""
        return _area(self.tensor)

    def clip(self, box_size: tuple[int, int]) -> None:
        """Clip in place to x in [0, width], y in [0, height], where ``box_size`` is (height, width)."""
        h, w = box_size
        x0, y0, x1, y1 = self.tensor.unbind(dim=-1)
        self.tensor = torch.stack(
            (x0.clamp(min=0, max=w), y0.clamp(min=0, max=h), x1.clamp(min=0, max=w), y1.clamp(min=0, max=h)),
            dim=-1,
        )

    def nonempty(self, threshold: float = 0.0) -> Tensor:
        """Return (N,) bool: whether both sides are longer than ``threshold`` pixels."""
        widths = self.tensor[:, 2] - self.tensor[:, 0]
        heights = self.tensor[:, 3] - self.tensor[:, 1]
        return (widths > threshold) & (heights > threshold)

    def inside_box(self, box_size: tuple[int, int], boundary_threshold: int = 0) -> Tensor:
        """Return (N,) bool: whether a box is within (height, width), up to ``boundary_threshold`` pixels."""
        h, w = box_size
        x0, y0, x1, y1 = self.tensor.unbind(dim=-1)
        t = boundary_threshold
        return (x0 >= -t) & (y0 >= -t) & (x1 < w + t) & (y1 < h + t)

    def get_centers(self) -> Tensor:
        """Return (N, 2) centres as (x, y)."""
        return (self.tensor[:, :2] + self.tensor[:, 2:]) / 2

    def scale(self, scale_x: float, scale_y: float) -> None:
        """Multiply the coordinates in place."""
        self.tensor[:, 0::2] *= scale_x
        self.tensor[:, 1::2] *= scale_y

    @classmethod
    def cat(cls, boxes_list: list[Boxes] | tuple[Boxes, ...]) -> Boxes:
        """Concatenate all boxes of the list, in order; no boxes for an empty list.

        Raises:
            TypeError: the list holds something else than Boxes.
        """
        if not isinstance(boxes_list, (list, tuple)) or not all(isinstance(b, Boxes) for b in boxes_list):
            raise TypeError("Boxes.cat: expected a list of Boxes")
        if len(boxes_list) == 0:
            return cls(torch.empty(0, 4))
        return cls(torch.cat([b.tensor for b in boxes_list], dim=0))

    def __getitem__(self, item: int | slice | Tensor | list[int]) -> Boxes:
        """Return the boxes at an index, slice, bool mask or index tensor; always a ``Boxes``."""
        if isinstance(item, int):
            return Boxes(self.tensor[item].view(1, -1))
        selected = self.tensor[item]
        if selected.dim() != 2:
            raise IndexError(f"indexing {len(self)} Boxes with {item!r} gives shape {tuple(selected.shape)}")
        return Boxes(selected)

    def __len__(self) -> int:
        return self.tensor.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        """Yield one tensor (4,) per box."""
        yield from self.tensor

    def __repr__(self) -> str:
        return f"Boxes({self.tensor})"


def pairwise_intersection(boxes1: Boxes | Tensor, boxes2: Boxes | Tensor) -> Tensor:
    """Areas of intersection of all pairs.

    Args:
        boxes1, boxes2: M and N boxes: ``Boxes``, or XYXY tensors (..., M, 4) and (..., N, 4) whose leading
            dimensions broadcast.

    Returns:
        (..., M, N) in square pixels.
    """
    return _pairwise(boxes1, boxes2, "intersection")


def pairwise_iou(boxes1: Boxes | Tensor, boxes2: Boxes | Tensor) -> Tensor:
    """Intersection over union of all pairs, 0 where they do not overlap. Shapes: `pairwise_intersection`."""
    return _pairwise(boxes1, boxes2, "iou")


def pairwise_ioa(boxes1: Boxes | Tensor, boxes2: Boxes | Tensor) -> Tensor:
    """Intersection over the area of the *second* box, for all pairs. Shapes: `pairwise_intersection`."""
    return _pairwise(boxes1, boxes2, "ioa")


def pairwise_point_box_distance(points: Tensor, boxes: Boxes | Tensor) -> Tensor:
    """Signed distances of points to the four sides of boxes.

    Args:
        points: (..., M, 2) as (x, y).
        boxes: N boxes, or XYXY (..., N, 4).

    Returns:
        (..., M, N, 4) distances to the left, top, right and bottom side; all positive for a point inside.
    """
    xy = points.unsqueeze(-2)
    sides = _tensor_of(boxes).unsqueeze(-3)
    return torch.cat((xy - sides[..., :2], sides[..., 2:] - xy), dim=-1)


def matched_pairwise_iou(boxes1: Boxes | Tensor, boxes2: Boxes | Tensor) -> Tensor:
    """Intersection over union of box i of one list with box i of the other, 0 where they do not overlap.

    Args:
        boxes1, boxes2: equally many ``Boxes``, or XYXY tensors (..., 4) of one shape.

    Returns:
        (...) one value per pair.

    Raises:
        ValueError: the lists differ in length.
    """
    a, b = _tensor_of(boxes1), _tensor_of(boxes2)
    if a.shape[-2:] != b.shape[-2:]:
        raise ValueError(f"matched_pairwise_iou: the boxes must pair up, got {len(a)} and {len(b)}")
    wh = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0)
    inter = wh[..., 0] * wh[..., 1]
    return _divide(inter, _area(a) + _area(b) - inter)


def _tensor_of(boxes: Boxes | Tensor) -> Tensor:
    return boxes if isinstance(boxes, Tensor) else boxes.tensor


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def _divide(inter: Tensor, by: Tensor) -> Tensor:
    """Return inter / by, and 0 where nothing intersects (two empty boxes would give 0 / 0)."""
    return torch.where(inter > 0, inter / by, 0.0)


def _pairwise(boxes1: Boxes | Tensor, boxes2: Boxes | Tensor, kind: str) -> Tensor:
    a, b = _tensor_of(boxes1), _tensor_of(boxes2)
    rows, columns = a.shape[-2], b.shape[-2]
    lead = torch.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    per_row = lead.numel() * columns
    if rows * per_row <= _CHUNK_ENTRIES or torch.compiler.is_compiling():
        return _overlap(a, b, kind)
    out = a.new_empty((*lead, rows, columns))
    step = max(1, _CHUNK_ENTRIES // per_row)
    for start in range(0, rows, step):
        part = slice(start, start + step)
        out[..., part, :] = _overlap(a[..., part, :], b, kind)
    return out


def _overlap(a: Tensor, b: Tensor, kind: str) -> Tensor:
    # One coordinate at a time, and contiguous: the (M, N, 2) form holds twice the memory, and reading every
    # fourth number is ten times slower.
    ax0, ay0, ax1, ay1 = a.transpose(-1, -2).contiguous().unsqueeze(-1).unbind(dim=-3)
    bx0, by0, bx1, by1 = b.transpose(-1, -2).contiguous().unsqueeze(-2).unbind(dim=-3)
    inter = (torch.minimum(ax1, bx1) - torch.maximum(ax0, bx0)).clamp(min=0)
    inter = inter * (torch.minimum(ay1, by1) - torch.maximum(ay0, by0)).clamp(min=0)
    if kind == "intersection":
        return inter
    # A sum over a broadcast is written as the reference's: (area1 + area2) - intersection.
    area_b = _area(b).unsqueeze(-2)
    return _divide(inter, area_b if kind == "ioa" else _area(a).unsqueeze(-1) + area_b - inter)
