"""Keypoints, and heatmaps of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["Keypoints", "heatmaps_to_keypoints"]

# Values of resized heatmaps held at a time on a device.
_CHUNK_PIXELS = 1 << 26


class Keypoints:
    """K keypoints for each of N objects: a float32 tensor (N, K, 3) of (x, y, visibility).

    x and y are in pixels, continuous. Visibility: 0 not labelled, 1 labelled but hidden, 2 labelled and
    visible.
    """

    tensor: Tensor

    def __init__(self, keypoints: Any) -> None:
        tensor = torch.as_tensor(keypoints, dtype=torch.float32)
        if tensor.dim() != 3 or tensor.shape[2] != 3:
            raise ValueError(f"Keypoints: expected a tensor of shape (N, K, 3), got {tuple(tensor.shape)}")
        self.tensor = tensor

    def __len__(self) -> int:
        return self.tensor.shape[0]

    def to(self, *args: Any, **kwargs: Any) -> Keypoints:
        """Return a copy on a device, or of a type, as `torch.Tensor.to` has it."""
        return Keypoints(self.tensor.to(*args, **kwargs))

    def pin_memory(self) -> Keypoints:
        """Return a copy in page-locked memory, which a GPU fetches faster."""
        return Keypoints(self.tensor.pin_memory())

    @property
    def device(self) -> torch.device:
        """Return the device of the tensors."""
        return self.tensor.device

    def to_heatmap(self, boxes: Tensor, heatmap_size: int) -> tuple[Tensor, Tensor]:
        """Return the cell of a heatmap over each box that a keypoint falls into: targets of a keypoint head.

        A keypoint on the right or lower side of the box counts to the last cell.

        Args:
            boxes: (N, 4) XYXY in pixels, one per object.
            heatmap_size: cells along a side.

        Returns:
            (N, K) int64 index ``y * heatmap_size + x`` of the cell, 0 where not valid; (N, K) int64, 1 where
            the keypoint is labelled and inside the box.
        """
        x0, y0, x1, y1 = boxes[:, None, :].unbind(dim=2)
        x, y, visibility = self.tensor.unbind(dim=2)
        # floor() of the side itself would be one cell too far.
        column = ((x - x0) * (heatmap_size / (x1 - x0))).floor().long()
        row = ((y - y0) * (heatmap_size / (y1 - y0))).floor().long()
        column = torch.where(x == x1, heatmap_size - 1, column)
        row = torch.where(y == y1, heatmap_size - 1, row)
        valid = (column >= 0) & (row >= 0) & (column < heatmap_size) & (row < heatmap_size) & (visibility > 0)
        return (row * heatmap_size + column) * valid, valid.long()

    def __getitem__(self, item: int | slice | Tensor | list[int]) -> Keypoints:
        """Return the keypoints of the objects at an index, slice, bool mask or index tensor."""
        if isinstance(item, int):
            return Keypoints(self.tensor[item].unsqueeze(0))
        return Keypoints(self.tensor[item])

    def __iter__(self) -> Iterator[Tensor]:
        """Yield one tensor (K, 3) per object."""
        yield from self.tensor

    def __repr__(self) -> str:
        return f"Keypoints(num_instances={len(self)}, num_keypoints={self.tensor.shape[1]})"

    @staticmethod
    def cat(keypoints_list: list[Keypoints]) -> Keypoints:
        """Concatenate all objects of the list, which must have as many keypoints each.

        Raises:
            TypeError: the list is empty, or holds something else.
        """
        if len(keypoints_list) == 0 or not all(isinstance(k, Keypoints) for k in keypoints_list):
            raise TypeError("Keypoints.cat: expected a list of at least one Keypoints")
        return Keypoints(torch.cat([k.tensor for k in keypoints_list], dim=0))


@torch.compiler.disable
@torch.no_grad()
def heatmaps_to_keypoints(maps: Tensor, rois: Tensor) -> Tensor:
    """Return the likeliest place of each keypoint, to the pixel.

    Each heatmap is resized to its box (bicubic), and the highest pixel taken. Resizing is separable: two
    products with matrices of interpolation weights, on a device for a chunk of boxes, padded to the largest.
    The sizes of the boxes are read, which waits for the device.

    Args:
        maps: (R, K, P, P) logits over each box.
        rois: (R, 4) XYXY in pixels.

    Returns:
        (R, K, 4): x, y in pixels of the image; the logit there; and its probability, normalised over the P x
        P cells so that boxes of different size compare.
    """
    # Positions need more digits than autocast's products have.
    maps, rois = maps.detach().float(), rois.detach().float()
    out = maps.new_zeros((*maps.shape[:2], 4))
    if out.numel() == 0:
        return out
    sizes = (rois[:, 2:] - rois[:, :2]).clamp(min=1)
    pixels = _pixels_of(rois)
    on_host = _pixels_of(rois.cpu()).long().numpy()
    if maps.device.type == "cpu":
        x, y, logit = _peaks_on_host(maps, on_host)
    else:
        x, y, logit = _peaks(maps, pixels, on_host)
    cell = (sizes / pixels)[:, None]
    out[:, :, 0] = (x + 0.5) * cell[..., 0] + rois[:, 0:1]
    out[:, :, 1] = (y + 0.5) * cell[..., 1] + rois[:, 1:2]
    out[:, :, 2] = logit
    out[:, :, 3] = 1 / (maps - logit[:, :, None, None]).exp().sum(dim=(2, 3))
    return out


def _peaks(maps: Tensor, pixels: Tensor, sizes: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
    """Return column, row and value of the highest pixel of each map (R, K, P, P) resized to `pixels` (R, 2),
    each (R, K); boxes of similar size together.
    """
    num_rois, num_keypoints, cells_y, cells_x = maps.shape
    order = np.lexsort(sizes.T).tolist()
    out = maps.new_zeros((3, num_rois, num_keypoints))
    with torch.autocast(maps.device.type, enabled=False):
        for chunk, width, height in _chunks(order, sizes.tolist(), _CHUNK_PIXELS // num_keypoints):
            index = torch.tensor(chunk).to(maps.device, non_blocking=True)
            size = pixels[index].long()
            rows = _bicubic_weights(cells_y, *_padded_axis(size[:, 1], height))
            columns = _bicubic_weights(cells_x, *_padded_axis(size[:, 0], width))
            # All keypoints of a box side by side: two large products instead of many small ones.
            wide = maps[index].transpose(1, 2).flatten(1, 2) @ columns.transpose(1, 2)
            resized = rows @ wide.view(len(chunk), cells_y, num_keypoints * width)
            of_columns, y = resized.view(len(chunk), height, num_keypoints, width).max(dim=1)
            logit, x = of_columns.max(dim=2)
            y = y.gather(2, x[:, :, None]).squeeze(2)
            # Rows and columns beyond the box repeat its last one.
            y, x = torch.minimum(y, size[:, 1:] - 1), torch.minimum(x, size[:, :1] - 1)
            out[:, index] = torch.stack((x.float(), y.float(), logit))
    return out[0], out[1], out[2]


def _peaks_on_host(maps: Tensor, sizes: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
    """Compute `_peaks` on the host, box by box: each at its own size, and small enough for the cache."""
    _, num_keypoints, cells_y, cells_x = maps.shape
    widths, heights = sizes.T
    rows = np.split(_bicubic_weights(cells_y, *_flat_axis(heights)).numpy(), heights.cumsum())
    columns = np.split(_bicubic_weights(cells_x, *_flat_axis(widths)).numpy(), widths.cumsum())
    peak, value = np.empty(maps.shape[:2], np.int64), np.empty(maps.shape[:2], np.float32)
    for i, of_box in enumerate(maps.numpy()):
        wide = (of_box.reshape(-1, cells_x) @ columns[i].T).reshape(num_keypoints, cells_y, -1)
        resized = np.matmul(rows[i], wide).reshape(num_keypoints, -1)
        peak[i] = resized.argmax(axis=1)
        value[i] = np.take_along_axis(resized, peak[i, :, None], axis=1)[:, 0]
    y, x = np.divmod(peak, widths[:, None])
    return torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(value)


def _pixels_of(rois: Tensor) -> Tensor:
    """Return (R, 2) width and height in whole pixels, at least 1."""
    return (rois[:, 2:] - rois[:, :2]).clamp(min=1).ceil()


def _chunks(order: list[int], sizes: list[list[int]], budget: int) -> Iterator[tuple[list[int], int, int]]:
    """Runs of boxes whose common padded area stays within the budget, with that common (width, height)."""
    chunk: list[int] = []
    width = height = 0
    for i in order:
        w, h = max(width, sizes[i][0]), max(height, sizes[i][1])
        if chunk and (len(chunk) + 1) * w * h > budget:
            yield chunk, width, height
            chunk, w, h = [], sizes[i][0], sizes[i][1]
        chunk.append(i)
        width, height = w, h
    yield chunk, width, height


def _padded_axis(size: Tensor, longest: int) -> tuple[Tensor, Tensor]:
    """Pixels along an axis (R, longest), and the size (R, 1); beyond the size its last pixel is repeated."""
    return torch.minimum(torch.arange(longest, device=size.device), size[:, None] - 1), size[:, None]


def _flat_axis(sizes: np.ndarray) -> tuple[Tensor, Tensor]:
    """Pixels along an axis of one box after the other, and the size of the box that each belongs to."""
    pixel = np.arange(sizes.sum()) - np.repeat(sizes.cumsum() - sizes, sizes)
    return torch.from_numpy(pixel), torch.from_numpy(np.repeat(sizes, sizes))


def _bicubic_weights(cells: int, pixel: Tensor, size: Tensor) -> Tensor:
    """Weights (..., cells) of the cells in a pixel (...) of an axis that is resized from `cells` to `size`.

    Keys' cubic convolution with a = -0.75, half-pixel centres and clamped borders, as in ``interpolate``.
    """
    a = -0.75
    source = (cells / size.float()) * (pixel.float() + 0.5) - 0.5
    first = source.floor()
    t = source - first
    near, far = torch.stack((t, 1 - t)), torch.stack((t + 1, 2 - t))
    inner = ((a + 2) * near - (a + 3)) * near * near + 1
    outer = ((a * far - 5 * a) * far + 8 * a) * far - 4 * a
    taps = torch.stack((outer[0], inner[0], inner[1], outer[1]), dim=-1)
    at = (first.long().unsqueeze(-1) + torch.arange(-1, 3, device=size.device)).clamp(0, cells - 1)
    return taps.new_zeros((*pixel.shape, cells)).scatter_add_(-1, at, taps)
