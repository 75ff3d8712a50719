"""Masks as one bit per pixel of the image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import roi_align

from lazycfg.structures.boxes import Boxes
from lazycfg.structures.pasting import paste_masks_in_image
from lazycfg.structures.polygon_masks import PolygonMasks
from lazycfg.structures.rasterize import pack_polygons, rasterize_images

__all__ = ["BitMasks", "IndexedBitMasks"]


class BitMasks:
    """The masks of N objects on the whole image: a bool tensor (N, H, W)."""

    tensor: Tensor
    image_size: tuple[int, int]

    def __init__(self, tensor: Any) -> None:
        """Hold masks.

        Args:
            tensor: (N, H, W), anything array-like; not zero is inside.
        """
        tensor = (
            tensor.to(torch.bool) if isinstance(tensor, Tensor) else torch.as_tensor(tensor, dtype=torch.bool)
        )
        if tensor.dim() != 3:
            raise ValueError(f"BitMasks: expected a tensor of shape (N, H, W), got {tuple(tensor.shape)}")
        self.tensor = tensor
        self.image_size = (int(tensor.shape[1]), int(tensor.shape[2]))

    def to(self, *args: Any, **kwargs: Any) -> BitMasks:
        """Return a copy on a device, or of a type, as `torch.Tensor.to` has it."""
        return BitMasks(self.tensor.to(*args, **kwargs))

    def pin_memory(self) -> BitMasks:
        """Return a copy in page-locked memory, which a GPU fetches faster."""
        return BitMasks(self.tensor.pin_memory())

    @property
    def device(self) -> torch.device:
        """Return the device of the tensors."""
        return self.tensor.device

    def __len__(self) -> int:
        return self.tensor.shape[0]

    def __getitem__(self, item: int | slice | Tensor | list[int]) -> BitMasks:
        """Return the masks at an index, slice, bool mask or index tensor; always a ``BitMasks``."""
        if isinstance(item, int):
            return BitMasks(self.tensor[item].unsqueeze(0))
        selected = self.tensor[item]
        if selected.dim() != 3:
            raise IndexError(
                f"indexing {len(self)} BitMasks with {item!r} gives shape {tuple(selected.shape)}"
            )
        return BitMasks(selected)

    def take(self, indices: Tensor) -> BitMasks:
        """Return the masks at indices (R,) int64, held once however often they occur, until they are read."""
        return IndexedBitMasks(self.tensor, indices)

    def shared(self) -> tuple[Tensor, Tensor]:
        """Return masks (N, H, W) and, for each object, the index (R,) of its mask among them."""
        return self.tensor, torch.arange(len(self), device=self.device)

    def __iter__(self) -> Iterator[Tensor]:
        """Yield one tensor (H, W) per object."""
        yield from self.tensor

    def __repr__(self) -> str:
        return f"BitMasks(num_instances={len(self)}, image_size={self.image_size})"

    def nonempty(self) -> Tensor:
        """Return (N,) bool: whether an object has any pixel."""
        return self.tensor.flatten(1).any(dim=1)

    def area(self) -> Tensor:
        """Return (N,) int64 numbers of pixels."""
        return self.tensor.flatten(1).sum(dim=1)

    def get_bounding_boxes(self) -> Boxes:
        """Return the smallest boxes around the objects' pixels; zeros for an object without any."""
        boxes = torch.zeros((len(self), 4), device=self.device)
        if self.tensor.numel() == 0:
            return Boxes(boxes)
        for axis, other in ((0, 1), (1, 2)):
            # x is found along columns that have any pixel, y along rows.
            seen = self.tensor.any(dim=other).to(torch.uint8)
            low = seen.argmax(dim=1)
            high = seen.shape[1] - seen.flip(dims=(1,)).argmax(dim=1)
            any_seen = seen.any(dim=1)
            boxes[:, axis] = low * any_seen
            boxes[:, axis + 2] = high * any_seen
        return Boxes(boxes)

    def crop_and_resize(self, boxes: Tensor, mask_size: int, indices: Tensor | None = None) -> Tensor:
        """Crop each object to its box, resize it by ROIAlign and threshold it at one half: targets of a mask
        head.

        Args:
            boxes: (R, 4) XYXY in pixels.
            mask_size: side of the results.
            indices: (R,) int64, the object each box belongs to; box i belongs to object i when not given.
                With indices the masks of objects that several boxes share are held once.

        Returns:
            (R, mask_size, mask_size) bool.

        Raises:
            ValueError: there is not one box (4,) for each object.
        """
        expected = len(self) if indices is None else len(indices)
        if boxes.shape != (expected, 4):
            raise ValueError(f"crop_and_resize: expected boxes ({expected}, 4), got {tuple(boxes.shape)}")
        if len(boxes) == 0:
            return torch.zeros((0, mask_size, mask_size), dtype=torch.bool, device=self.device)
        if indices is None:
            indices = torch.arange(len(boxes))
        rois = torch.cat((indices.to(self.device)[:, None], boxes.detach().to(self.device).float()), dim=1)
        values = roi_align(self.tensor[:, None].float(), rois, (mask_size, mask_size), 1.0, 0, aligned=True)
        return values.squeeze(1) >= 0.5

    @staticmethod
    def cat(bitmasks_list: list[BitMasks]) -> BitMasks:
        """Concatenate all masks of the list, which must be of one image size.

        Raises:
            TypeError: the list is empty, or holds something else.
        """
        if len(bitmasks_list) == 0 or not all(isinstance(b, BitMasks) for b in bitmasks_list):
            raise TypeError("BitMasks.cat: expected a list of at least one BitMasks")
        return BitMasks(torch.cat([b.tensor for b in bitmasks_list], dim=0))

    @staticmethod
    def from_polygon_masks(
        polygon_masks: PolygonMasks | Sequence[Sequence[np.ndarray]], height: int, width: int
    ) -> BitMasks:
        """Draw polygons by the rule of the COCO tools, on the host: (N, height, width) bool."""
        polygons = polygon_masks.polygons if isinstance(polygon_masks, PolygonMasks) else polygon_masks
        return BitMasks(rasterize_images(pack_polygons(polygons), height, width))

    @staticmethod
    def from_roi_masks(
        roi_masks: Any, boxes: Boxes | Tensor, height: int, width: int, threshold: float = 0.5
    ) -> BitMasks:
        """Paste masks that are relative to boxes.

        Args:
            roi_masks: ``ROIMasks`` or a tensor (N, M, M) of probabilities.
            boxes: the N boxes, XYXY in pixels.
        """
        masks = roi_masks if isinstance(roi_masks, Tensor) else roi_masks.tensor
        return BitMasks(paste_masks_in_image(masks, boxes, (height, width), threshold))


class IndexedBitMasks(BitMasks):
    """Masks of which several objects share one, as the proposals that are matched to one object do.

    It is a `BitMasks` in every respect. The rows are copied when ``tensor`` is first read; from then on they
    are what counts, so that they can be edited.

    Args:
        source: bool (N, H, W).
        indices: (R,) int64, which of them is the mask of each object.
    """

    def __init__(self, source: Tensor, indices: Tensor) -> None:
        self._source = source
        self._indices = indices.to(source.device)
        self._rows: Tensor | None = None
        self.image_size = (int(source.shape[1]), int(source.shape[2]))

    @property
    def tensor(self) -> Tensor:  # type: ignore[override]
        """Return the masks, (N, H, W) bool, gathered at this reading."""
        if self._rows is None:
            self._rows = self._source[self._indices]
        return self._rows

    @tensor.setter
    def tensor(self, value: Tensor) -> None:
        self._rows = value

    @property
    def device(self) -> torch.device:
        """Return the device of the tensors."""
        return self._source.device if self._rows is None else self._rows.device

    def __len__(self) -> int:
        return len(self._indices if self._rows is None else self._rows)

    def __getitem__(self, item: int | slice | Tensor | list[int]) -> BitMasks:
        if self._rows is not None or isinstance(item, int):
            return super().__getitem__(item)
        return IndexedBitMasks(self._source, self._indices[item])

    def take(self, indices: Tensor) -> BitMasks:
        """Return the masks at (K,) indices."""
        if self._rows is not None:
            return super().take(indices)
        return IndexedBitMasks(self._source, self._indices[indices])

    def shared(self) -> tuple[Tensor, Tensor]:
        """Return all masks (M, H, W), and the (N,) rows of them that are meant."""
        return super().shared() if self._rows is not None else (self._source, self._indices)

    def to(self, *args: Any, **kwargs: Any) -> BitMasks:
        """Return a copy on a device, or of a type, as `torch.Tensor.to` has it."""
        source, indices = self.shared()
        return IndexedBitMasks(source.to(*args, **kwargs), indices)

    def crop_and_resize(self, boxes: Tensor, mask_size: int, indices: Tensor | None = None) -> Tensor:
        """Return (N, mask_size, mask_size) bool, as `BitMasks.crop_and_resize` does."""
        source, own = self.shared()
        chosen = own if indices is None else own[indices.to(own.device)]
        return BitMasks(source).crop_and_resize(boxes, mask_size, chosen)
