"""Masks relative to boxes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from lazycfg.structures.bit_masks import BitMasks
from lazycfg.structures.boxes import Boxes

__all__ = ["ROIMasks"]


class ROIMasks:
    """The masks of N objects as a mask head predicts them, each relative to its box: (N, M, M).

    They stay this small until `to_bitmasks` pastes them, or until an evaluator encodes them box by box.
    """

    def __init__(self, tensor: Tensor) -> None:
        if tensor.dim() != 3:
            raise ValueError(f"ROIMasks: expected a tensor of shape (N, M, M), got {tuple(tensor.shape)}")
        self.tensor = tensor

    def to(self, *args: Any, **kwargs: Any) -> ROIMasks:
        """Return a copy on a device, or of a type, as `torch.Tensor.to` has it."""
        return ROIMasks(self.tensor.to(*args, **kwargs))

    def pin_memory(self) -> ROIMasks:
        """Return a copy in page-locked memory, which a GPU fetches faster."""
        return ROIMasks(self.tensor.pin_memory())

    @property
    def device(self) -> torch.device:
        """Return the device of the tensors."""
        return self.tensor.device

    def __len__(self) -> int:
        return self.tensor.shape[0]

    def __getitem__(self, item: int | slice | Tensor | list[int]) -> ROIMasks:
        """Return the masks at an index, slice, bool mask or index tensor; always an ``ROIMasks``."""
        if isinstance(item, int):
            return ROIMasks(self.tensor[item].unsqueeze(0))
        selected = self.tensor[item]
        if selected.dim() != 3:
            raise IndexError(
                f"indexing {len(self)} ROIMasks with {item!r} gives shape {tuple(selected.shape)}"
            )
        return ROIMasks(selected)

    def __iter__(self) -> Iterator[Tensor]:
        """Yield one tensor (M, M) per object."""
        yield from self.tensor

    def __repr__(self) -> str:
        return f"ROIMasks(num_instances={len(self)}, mask_size={tuple(self.tensor.shape[1:])})"

    @staticmethod
    def cat(roi_masks_list: list[ROIMasks]) -> ROIMasks:
        """Concatenate all masks of the list, which must be of one size.

        Raises:
            TypeError: the list is empty, or holds something else.
        """
        if len(roi_masks_list) == 0 or not all(isinstance(m, ROIMasks) for m in roi_masks_list):
            raise TypeError("ROIMasks.cat: expected a list of at least one ROIMasks")
        return ROIMasks(torch.cat([m.tensor for m in roi_masks_list], dim=0))

    def to_bitmasks(self, boxes: Boxes | Tensor, height: int, width: int, threshold: float = 0.5) -> BitMasks:
        """Paste the masks into images of (height, width).

        Args:
            boxes: the N boxes, XYXY in pixels.
            threshold: what a pixel must reach to be inside.
        """
        return BitMasks.from_roi_masks(self, boxes, height, width, threshold)
