"""Meshes and voxels as fields of `Instances`: lists whose tensors are shared by the rows that name them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Generic, Self, TypeVar

import numpy as np
import torch
from torch import Tensor

from lazycfg.structures import Meshes

__all__ = ["MeshInstances", "VoxelInstances"]

T = TypeVar("T")


class _Objects(Generic[T]):
    """One item for each object. Selecting rows copies no tensor: proposals of one object share its item."""

    def __init__(self, items: Sequence[T]) -> None:
        self._items = list(items)

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)

    def __getitem__(self, item: Any) -> Self:
        """Select by a number, a slice, numbers or a mask of bools; always returns the same kind of list."""
        if isinstance(item, Tensor):
            item = item.cpu().numpy()
        rows = np.atleast_1d(np.arange(len(self))[item if isinstance(item, slice) else np.asarray(item)])
        return type(self)([self._items[i] for i in rows.tolist()])

    @classmethod
    def cat(cls, parts: Sequence[Self]) -> Self:
        """Join lists to one."""
        return cls([item for part in parts for item in part])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)})"


class MeshInstances(_Objects[tuple[Tensor, Tensor]]):
    """One mesh for each object: vertices (V, 3) and faces (F, 3) int64."""

    def to(self, *args: Any, **kwargs: Any) -> MeshInstances:
        """Move as tensors move; a dtype is that of the vertices."""
        moved: dict[int, tuple[Tensor, Tensor]] = {}
        for item in self._items:
            if id(item) not in moved:
                verts = item[0].to(*args, **kwargs)
                moved[id(item)] = (verts, item[1].to(verts.device))
        return MeshInstances([moved[id(item)] for item in self._items])

    def meshes(self) -> Meshes:
        """Return them as one batch."""
        return Meshes([verts for verts, _ in self._items], [faces for _, faces in self._items])

    @staticmethod
    def from_meshes(meshes: Meshes) -> MeshInstances:
        """Return meshes as a field of `Instances`."""
        return MeshInstances(list(zip(meshes.verts_list(), meshes.faces_list(), strict=True)))


class VoxelInstances(_Objects[Tensor]):
    """The occupied cells of each object: the points (P, 3) of their centres."""

    def to(self, *args: Any, **kwargs: Any) -> VoxelInstances:
        """Move as tensors move."""
        moved = {id(item): item for item in self._items}
        moved = {key: item.to(*args, **kwargs) for key, item in moved.items()}
        return VoxelInstances([moved[id(item)] for item in self._items])

    def packed(self) -> tuple[Tensor, list[int]]:
        """Return the points of all objects (P, 3), and how many each has."""
        counts = [len(points) for points in self._items]
        return (torch.cat(self._items) if self._items else torch.zeros(0, 3)), counts
