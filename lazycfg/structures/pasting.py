"""Masks predicted inside boxes, pasted into the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lazycfg.structures.boxes import Boxes

__all__ = ["MaskCrop", "paste_masks_in_boxes", "paste_masks_in_image", "paste_masks_in_images"]

# Pixels sampled at a time on a device: bounds the temporaries at 12 bytes each.
_CHUNK_PIXELS = 1 << 25


@dataclass(frozen=True)
class MaskCrop:
    """A mask that is empty outside of a window: the window's corner in the image, and what it shows.

    Attributes:
        y0, x0: the row and column of the upper left pixel.
        mask: (h, w) bool, or uint8 for soft masks; on the host; h or w may be 0.
    """

    y0: int
    x0: int
    mask: Tensor


def paste_masks_in_image(
    masks: Tensor, boxes: Boxes | Tensor, image_shape: tuple[int, int], threshold: float = 0.5
) -> Tensor:
    """Resize each mask to its box, and paste it into the image.

    A mask's pixel is a cell of the box, sampled bilinearly at the centres of the image's pixels, as in Mask
    R-CNN (arXiv:1703.06870). Nothing is drawn farther than a pixel from the box, and on the host only the
    pixels of the box are looked at; a device is never waited for.

    Args:
        masks: (N, Hmask, Wmask), probabilities in [0, 1].
        boxes: (N, 4) XYXY in pixels.
        image_shape: (height, width) of the result.
        threshold: what a pixel must reach. A negative one gives the probabilities times 255 as uint8.

    Returns:
        (N, height, width) bool, or uint8 for a negative threshold; on the device of ``masks``.
    """
    return paste_masks_in_images(masks, boxes, [len(masks)], [image_shape], threshold)[0]


def paste_masks_in_images(
    masks: Tensor,
    boxes: Boxes | Tensor,
    counts: Sequence[int],
    image_shapes: Sequence[tuple[int, int]],
    threshold: float = 0.5,
) -> list[Tensor]:
    """Apply `paste_masks_in_image` to a batch, all masks together.

    Args:
        masks, boxes, threshold: as there, those of all images one after the other.
        counts: masks of each image.
        image_shapes: (height, width) of each image.

    Returns:
        Per image (N_i, height, width).
    """
    masks, corners = _check(masks, boxes)
    if masks.device.type == "cpu":
        parts = zip(masks.split(list(counts)), corners.split(list(counts)), image_shapes, strict=True)
        return [_paste_on_host(part.numpy(), box.numpy(), shape, threshold) for part, box, shape in parts]
    if len(set(image_shapes)) > 1:  # one after the other, each with its own frame
        parts = zip(masks.split(list(counts)), corners.split(list(counts)), image_shapes, strict=True)
        return [paste_masks_in_image(part, box, shape, threshold) for part, box, shape in parts]
    if len(counts) == 0:
        return []
    height, width = image_shapes[0]
    dtype = torch.bool if threshold >= 0 else torch.uint8
    out = torch.empty((len(masks), height, width), dtype=dtype, device=masks.device)
    if out.numel() > 0:
        grid_x, grid_y = _sampling_axes(corners, height, width)
        step = max(1, _CHUNK_PIXELS // (height * width))
        for start in range(0, len(masks), step):
            part = slice(start, start + step)
            size = (len(grid_x[part]), height, width)
            grid = torch.stack((grid_x[part, None].expand(size), grid_y[part, :, None].expand(size)), dim=3)
            drawn = F.grid_sample(masks[part, None], grid, align_corners=False)[:, 0]
            out[part] = drawn >= threshold if threshold >= 0 else (drawn * 255).to(dtype)
    return list(out.split(list(counts)))


def paste_masks_in_boxes(
    masks: Tensor, boxes: Boxes | Tensor, image_shape: tuple[int, int], threshold: float = 0.5
) -> list[MaskCrop]:
    """Return what `paste_masks_in_image` draws of masks (N, M, M), as one small mask per instance instead of
    whole images.

    For run-length encoding and other work on the host that need not see the empty rest of the image.
    Arguments as there; masks and boxes are fetched from a device at once.
    """
    masks, corners = _check(masks, boxes)
    on_host, places = masks.cpu().numpy(), corners.cpu().numpy()
    windows = _windows(places, *image_shape)
    crops = [np.empty((y1 - y0, x1 - x0), _dtype(threshold)) for x0, y0, x1, y1 in windows.tolist()]
    _draw(on_host, places, windows, crops, threshold)
    return [
        MaskCrop(y0, x0, torch.from_numpy(crop))
        for (x0, y0, _, _), crop in zip(windows.tolist(), crops, strict=True)
    ]


def _check(masks: Tensor, boxes: Boxes | Tensor) -> tuple[Tensor, Tensor]:
    corners = boxes if isinstance(boxes, Tensor) else boxes.tensor
    if masks.dim() != 3 or corners.shape != (len(masks), 4):
        raise ValueError(
            "pasting masks: expected masks (N, Hmask, Wmask) and boxes (N, 4), "
            f"got {tuple(masks.shape)} and {tuple(corners.shape)}"
        )
    # Half precision is too coarse for positions, and not every kernel has it.
    return masks.detach().float(), corners.detach().float().to(masks.device)


def _sampling_axes(boxes: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Return where the columns (N, width) and rows (N, height) of the image lie in each mask.

    They are in [-1, 1] inside the box. Positions more than a pixel outside of the box get 2, which is outside
    of every mask.
    """
    axes = []
    for low, high, size in ((boxes[:, 0:1], boxes[:, 2:3], width), (boxes[:, 1:2], boxes[:, 3:4], height)):
        pixels = torch.arange(size, device=boxes.device, dtype=torch.float32)
        at = (pixels + 0.5 - low) / (high - low) * 2 - 1
        near = (pixels >= low.floor() - 1) & (pixels < high.ceil() + 1)
        axes.append(torch.where(near, at, 2.0))
    return axes[0], axes[1]


def _dtype(threshold: float) -> type[np.generic]:
    return np.bool_ if threshold >= 0 else np.uint8


def _windows(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return (N, 4) int64, the pixels of the image that each box can touch, from x0, y0 to before x1, y1."""
    size = (width, height)
    # A box that is not finite has no pixels; the rest is clipped before it becomes whole numbers.
    low = np.nan_to_num(np.floor(boxes[:, :2]) - 1).clip(0, size)
    high = np.nan_to_num(np.ceil(boxes[:, 2:]) + 1).clip(0, size)
    none = (high <= low).any(axis=1, keepdims=True)
    return np.concatenate((low, np.where(none, low, high)), axis=1).astype(np.int64)


def _paste_on_host(masks: np.ndarray, boxes: np.ndarray, shape: tuple[int, int], threshold: float) -> Tensor:
    # Memory from numpy is zero without having been touched, and most of it never is.
    frames = np.zeros((len(masks), *shape), dtype=_dtype(threshold))
    windows = _windows(boxes, *shape)
    inside = [f[y0:y1, x0:x1] for f, (x0, y0, x1, y1) in zip(frames, windows.tolist(), strict=True)]
    _draw(masks, boxes, windows, inside, threshold)
    return torch.from_numpy(frames)


def _draw(
    masks: np.ndarray, boxes: np.ndarray, windows: np.ndarray, targets: Sequence[np.ndarray], threshold: float
) -> None:
    """Draw each mask into its target, (h, w) of its window.

    Bilinear sampling is a product with a matrix of weights for either axis. The weights of all masks are
    found together; each product then has the size of its own window, and its result goes where it belongs.
    """
    if len(masks) == 0:
        return
    rows = _bilinear_weights(boxes[:, 1::2], windows[:, 1::2], masks.shape[1])
    columns = _bilinear_weights(boxes[:, 0::2], windows[:, 0::2], masks.shape[2])
    for mask, of_rows, of_columns, target in zip(masks, rows, columns, targets, strict=True):
        if target.size:
            values = (of_rows @ mask) @ of_columns.T
            if threshold >= 0:
                np.greater_equal(values, threshold, out=target)
            else:
                np.multiply(values, 255, out=target, casting="unsafe")


def _bilinear_weights(boxes: np.ndarray, windows: np.ndarray, cells: int) -> list[np.ndarray]:
    """Per mask (size, cells): how much of each cell a pixel takes along one axis; nothing beyond the mask.

    Args:
        boxes: (N, 2) where the boxes begin and end; windows: (N, 2) the first pixel, and the one after the
            last.
    """
    sizes = windows[:, 1] - windows[:, 0]
    ends = sizes.cumsum()
    pixel = np.arange(sizes.sum()) - np.repeat(ends - sizes - windows[:, 0], sizes)
    low, high = np.repeat(boxes, sizes, axis=0).T
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        # Rounded as `grid_sample` does it
        at = (pixel.astype(np.float32) + np.float32(0.5) - low) / (high - low) * 2 - 1
        cell = ((at + 1) * cells - 1) / 2
        away = np.abs(cell[:, None] - np.arange(cells, dtype=np.float32))
        np.subtract(1, away, out=away)
        np.maximum(away, 0, out=away)
    return np.split(np.nan_to_num(away, copy=False), ends[:-1])
