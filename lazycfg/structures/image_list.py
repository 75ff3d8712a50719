"""Images of different sizes in one padded tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

__all__ = ["ImageList"]


class ImageList:
    """A batch of images, padded at the bottom and at the right to one size.

    Attributes:
        tensor: (N, H, W), (N, C, H, W) or (N, C1, ..., Cn, H, W).
        image_sizes: the true (height, width) of each image; plain ints on the host, so reading them never
            waits for the device.
    """

    def __init__(self, tensor: Tensor, image_sizes: list[tuple[int, int]]) -> None:
        self.tensor = tensor
        self.image_sizes = image_sizes

    def __len__(self) -> int:
        return len(self.image_sizes)

    def __getitem__(self, idx: int) -> Tensor:
        """Image ``idx`` without its padding, (H, W) or (C, H, W): a view."""
        h, w = self.image_sizes[idx]
        return self.tensor[idx, ..., :h, :w]

    def to(self, device: torch.device | str, non_blocking: bool = False) -> ImageList:
        """Return a copy on a device."""
        return ImageList(self.tensor.to(device=device, non_blocking=non_blocking), self.image_sizes)

    def pin_memory(self) -> ImageList:
        """Return a copy in page-locked memory, which a GPU fetches faster."""
        return ImageList(self.tensor.pin_memory(), self.image_sizes)

    @property
    def device(self) -> torch.device:
        """Return the device of the tensors."""
        return self.tensor.device

    def valid_mask(self) -> Tensor:
        """Return (N, H, W) bool: true on the images, false on the padding."""
        sizes = torch.tensor(self.image_sizes, device=self.device)
        rows = torch.arange(self.tensor.shape[-2], device=self.device) < sizes[:, :1]
        columns = torch.arange(self.tensor.shape[-1], device=self.device) < sizes[:, 1:]
        return rows[:, :, None] & columns[:, None, :]

    @staticmethod
    def padded_size(
        image_sizes: Sequence[tuple[int, int]],
        size_divisibility: int = 0,
        padding_constraints: Mapping[str, int] | None = None,
    ) -> tuple[int, int]:
        """Return the (height, width) that `from_tensors` pads images of these sizes to.

        Raises:
            ValueError: an image is larger than the ``square_size`` asked for.
        """
        constraints = padding_constraints or {}
        height, width = max(h for h, _ in image_sizes), max(w for _, w in image_sizes)
        square = constraints.get("square_size", 0)
        if square > 0:
            if max(height, width) > square:
                raise ValueError(f"an image of {height}x{width} does not fit into square_size={square}")
            height = width = square
        stride = constraints.get("size_divisibility", size_divisibility)
        if stride > 1:
            height, width = -(-height // stride) * stride, -(-width // stride) * stride
        return height, width

    @staticmethod
    def from_tensors(
        tensors: Sequence[Tensor],
        size_divisibility: int = 0,
        pad_value: float = 0.0,
        padding_constraints: Mapping[str, int] | None = None,
    ) -> ImageList:
        """Pad images to one size; they land at the top left.

        Args:
            tensors: images (H, W) or (C1, ..., Cn, H, W) with the same channels, dtype and device.
            size_divisibility: the padded sides become multiples of this when it is above 1.
            pad_value: what the padding is filled with.
            padding_constraints: ``{"square_size": s}`` pads to s x s, ``{"size_divisibility": d}`` goes
                before the argument of this name. See ``Backbone.padding_constraints``.

        Raises:
            ValueError: no images, unequal channels, or an image beyond ``square_size``.
        """
        if isinstance(tensors, Tensor) or len(tensors) == 0:
            raise ValueError("ImageList.from_tensors: expected a list of at least one image tensor")
        lead = tensors[0].shape[:-2]
        for i, t in enumerate(tensors):
            if t.dim() < 2 or t.shape[:-2] != lead:
                expected = f"expected {(*lead, 'H', 'W')}"
                raise ValueError(f"ImageList.from_tensors: image {i} has shape {tuple(t.shape)}, {expected}")
        sizes = [(int(t.shape[-2]), int(t.shape[-1])) for t in tensors]
        target = ImageList.padded_size(sizes, size_divisibility, padding_constraints)
        if all(size == target for size in sizes):
            return ImageList(torch.stack(list(tensors)), sizes)
        batch = tensors[0].new_full((len(tensors), *lead, *target), pad_value)
        for i, (h, w) in enumerate(sizes):
            batch[i, ..., :h, :w].copy_(tensors[i])
        return ImageList(batch, sizes)
