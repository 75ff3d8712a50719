"""Masks as polygons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lazycfg.structures.boxes import Boxes
from lazycfg.structures.rasterize import pack_polygons, rasterize_within_boxes

__all__ = ["PolygonMasks"]


class PolygonMasks:
    """The masks of N objects of one image, each the union of some polygons.

    Attributes:
        polygons: per object a list of float64 arrays (x0, y0, x1, y1, ...) in pixels. They stay on the host:
            ``to(device)`` returns the same object.
    """

    polygons: list[list[np.ndarray]]

    def __init__(self, polygons: Sequence[Sequence[Any]]) -> None:
        """Hold polygons.

        Args:
            polygons: ``polygons[i][j]`` is the j-th polygon of object i, an array, tensor or list of at least
                6 numbers.

        Raises:
            ValueError: not a list of lists, or a polygon with fewer than 3 points or an odd number of
                coordinates.
        """
        if not isinstance(polygons, (list, tuple)):
            got = type(polygons).__name__
            raise ValueError(f"PolygonMasks: expected a list of objects, each a list of polygons, got {got}")
        self.polygons = [_checked(i, of_object) for i, of_object in enumerate(polygons)]

    @classmethod
    def _of(cls, polygons: list[list[np.ndarray]]) -> PolygonMasks:
        """From polygons that have been checked."""
        new = cls.__new__(cls)
        new.polygons = polygons
        return new

    def to(self, *args: Any, **kwargs: Any) -> PolygonMasks:
        """Return the polygons as they are: they stay on the host."""
        return self

    @property
    def device(self) -> torch.device:
        """Return the device: the host."""
        return torch.device("cpu")

    def __len__(self) -> int:
        return len(self.polygons)

    def __getitem__(self, item: int | slice | Sequence[int] | Tensor | np.ndarray) -> PolygonMasks:
        """Return the objects at an index, slice, bool mask or indices; always a ``PolygonMasks``."""
        if isinstance(item, int):
            return self._of([self.polygons[item]])
        if isinstance(item, slice):
            return self._of(self.polygons[item])
        index = item.detach().cpu().numpy() if isinstance(item, Tensor) else np.asarray(item)
        if index.dtype == np.bool_:
            if index.shape != (len(self),):
                raise IndexError(f"a mask of shape {index.shape} does not fit {len(self)} PolygonMasks")
            index = np.flatnonzero(index)
        if index.ndim != 1:
            raise IndexError(f"PolygonMasks are indexed in one dimension, got shape {index.shape}")
        return self._of([self.polygons[i] for i in index.tolist()])

    def __iter__(self) -> Iterator[list[np.ndarray]]:
        """Yield the polygons of one object after another."""
        return iter(self.polygons)

    def __repr__(self) -> str:
        return f"PolygonMasks(num_instances={len(self)})"

    @staticmethod
    def cat(polymasks_list: list[PolygonMasks]) -> PolygonMasks:
        """Concatenate all objects of the list, in order.

        Raises:
            TypeError: the list is empty, or holds something else.
        """
        if len(polymasks_list) == 0 or not all(isinstance(p, PolygonMasks) for p in polymasks_list):
            raise TypeError("PolygonMasks.cat: expected a list of at least one PolygonMasks")
        return PolygonMasks._of([polygons for masks in polymasks_list for polygons in masks.polygons])

    def nonempty(self) -> Tensor:
        """Return (N,) bool: whether an object has any polygon."""
        return torch.tensor([len(polygons) > 0 for polygons in self.polygons], dtype=torch.bool)

    def area(self) -> Tensor:
        """Return (N,) float64: the sum of the areas of an object's polygons in square pixels (shoelace
        formula).
        """
        packed = pack_polygons(self.polygons)
        x0, y0 = packed.points.unbind(dim=1)
        x1, y1 = packed.points[packed.following].unbind(dim=1)
        signed = torch.zeros(len(packed.owner), dtype=torch.float64)
        signed.index_add_(0, packed.polygon, x1 * y0 - y1 * x0)
        areas = torch.zeros(len(self), dtype=torch.float64)
        return areas.index_add_(0, packed.owner, signed.abs() / 2)

    def get_bounding_boxes(self) -> Boxes:
        """Return the smallest boxes around objects' polygons; (inf, inf, 0, 0) for an object without any."""
        packed = pack_polygons(self.polygons)
        points = packed.points.float()
        owner = packed.owner[packed.polygon][:, None].expand_as(points)
        low = torch.full((len(self), 2), torch.inf).scatter_reduce_(0, owner, points, "amin")
        high = torch.zeros((len(self), 2)).scatter_reduce_(0, owner, points, "amax")
        return Boxes(torch.cat((low, high), dim=1))

    def crop_and_resize(self, boxes: Tensor, mask_size: int, indices: Tensor | None = None) -> Tensor:
        """Return what each box shows of its object, drawn at (mask_size, mask_size): targets of a mask head.

        All boxes are drawn together on the device of ``boxes``, with the pixels that the COCO tools give.

        Args:
            boxes: (R, 4) XYXY in pixels.
            mask_size: side of the results.
            indices: (R,) int64, the object each box belongs to; box i belongs to object i when not given.

        Returns:
            (R, mask_size, mask_size) bool.

        Raises:
            ValueError: there is not one box (4,) for each object.
        """
        chosen = self if indices is None else self[indices]
        if boxes.shape != (len(chosen), 4):
            raise ValueError(f"crop_and_resize: expected boxes ({len(chosen)}, 4), got {tuple(boxes.shape)}")
        return rasterize_within_boxes(pack_polygons(chosen.polygons), boxes, mask_size)


def _checked(i: int, polygons: Sequence[Any]) -> list[np.ndarray]:
    if not isinstance(polygons, (list, tuple)):
        got = type(polygons).__name__
        raise ValueError(f"PolygonMasks: object {i}: expected a list of polygons, got {got}")
    out = []
    for j, polygon in enumerate(polygons):
        points = polygon.detach().cpu().numpy() if isinstance(polygon, Tensor) else polygon
        points = np.asarray(points, dtype=np.float64).reshape(-1)
        if len(points) % 2 != 0 or len(points) < 6:
            raise ValueError(
                f"PolygonMasks: object {i}, polygon {j}: cannot create a polygon from {len(points)}"
                " coordinates, expected an even number of at least 6"
            )
        out.append(points)
    return out
