"""Masks predicted inside boxes, pasted into the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lazycfg.structures.boxes import Boxes

__all__ = ["MaskCrop", "paste_masks_in_boxes", "paste_masks_in_image"]

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
    """Resize each mask to its box and put it there.

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
    masks, corners = _check(masks, boxes)
    height, width = image_shape
    dtype = torch.bool if threshold >= 0 else torch.uint8
    if masks.device.type == "cpu":
        # Memory from numpy is zero without having been touched.
        storage = np.zeros((len(masks), height, width), dtype=np.bool_ if threshold >= 0 else np.uint8)
        out = torch.from_numpy(storage)
        for mask, crop in zip(out, _crops(masks, corners, height, width, threshold), strict=True):
            h, w = crop.mask.shape
            mask[crop.y0 : crop.y0 + h, crop.x0 : crop.x0 + w] = crop.mask
        return out
    out = torch.empty((len(masks), height, width), dtype=dtype, device=masks.device)
    if out.numel() == 0:
        return out
    grid_x, grid_y = _sampling_axes(corners, height, width)
    step = max(1, _CHUNK_PIXELS // (height * width))
    for start in range(0, len(masks), step):
        part = slice(start, start + step)
        size = (len(grid_x[part]), height, width)
        grid = torch.stack((grid_x[part, None].expand(size), grid_y[part, :, None].expand(size)), dim=3)
        out[part] = _quantise(F.grid_sample(masks[part, None], grid, align_corners=False)[:, 0], threshold)
    return out


def paste_masks_in_boxes(
    masks: Tensor, boxes: Boxes | Tensor, image_shape: tuple[int, int], threshold: float = 0.5
) -> list[MaskCrop]:
    """What `paste_masks_in_image` draws, as one small mask per instance instead of whole images.

    For run-length encoding and other work on the host that need not see the empty rest of the image.
    Arguments as there; masks and boxes are fetched from a device at once.
    """
    masks, corners = _check(masks, boxes)
    return _crops(masks.cpu(), corners.cpu(), *image_shape, threshold)


def _check(masks: Tensor, boxes: Boxes | Tensor) -> tuple[Tensor, Tensor]:
    corners = boxes if isinstance(boxes, Tensor) else boxes.tensor
    if masks.dim() != 3 or corners.shape != (len(masks), 4):
        raise ValueError(
            "pasting masks: expected masks (N, Hmask, Wmask) and boxes (N, 4), "
            f"got {tuple(masks.shape)} and {tuple(corners.shape)}"
        )
    # Half precision is too coarse for positions, and not every kernel has it.
    return masks.detach().float(), corners.detach().float().to(masks.device)


def _quantise(masks: Tensor, threshold: float) -> Tensor:
    return masks >= threshold if threshold >= 0 else (masks * 255).to(torch.uint8)


def _sampling_axes(boxes: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Where the columns (N, width) and rows (N, height) of the image lie in each mask.

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


def _crops(masks: Tensor, boxes: Tensor, height: int, width: int, threshold: float) -> list[MaskCrop]:
    """`paste_masks_in_boxes` on the host."""
    if len(masks) == 0:
        return []
    axis_x, axis_y = _sampling_axes(boxes, height, width)
    limits = boxes.new_tensor([width, height, width, height])
    low, high = boxes[:, :2].floor() - 1, boxes[:, 2:].ceil() + 1
    # A box that is not finite has no pixels: NaN sorts with zero here.
    window = torch.cat((low, high), dim=1).nan_to_num(0.0).clamp(min=torch.zeros(4), max=limits)
    crops = []
    for i, (x0, y0, x1, y1) in enumerate(window.to(torch.int64).numpy().tolist()):
        h, w = max(y1 - y0, 0), max(x1 - x0, 0)
        grid = torch.empty((1, h, w, 2))
        grid[..., 0] = axis_x[i, x0 : x0 + w]
        grid[..., 1] = axis_y[i, y0 : y0 + h, None]
        if h * w > 0:
            values = F.grid_sample(masks[i : i + 1, None], grid, align_corners=False)[0, 0]
        else:
            values = masks.new_zeros((h, w))
        crops.append(MaskCrop(y0, x0, _quantise(values, threshold)))
    return crops
