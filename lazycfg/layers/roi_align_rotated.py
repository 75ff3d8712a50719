"""ROIAlign over rotated regions, in plain tensor operations."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["ROIAlignRotated", "roi_align_rotated", "roi_align_rotated_levels"]

# Looked-up pixels held at a time: bounds the index and weight at 12 bytes each.
_CHUNK_LOOKUPS = 1 << 25
# From so many samples for each cell on it is worth a wait to know which of them are in the image.
_MANY_SAMPLES = 64


class ROIAlignRotated(nn.Module):
    """Pool rotated regions of a feature map to a fixed size by bilinear sampling.

    Rotated boxes are always pooled at the true pixel centres (``aligned=True`` of `ROIAlign`); a box of angle
    0 gives what `ROIAlign` gives.
    """

    def __init__(self, output_size: int | tuple[int, int], spatial_scale: float, sampling_ratio: int) -> None:
        """Set the size and the scale of the pooled regions.

        Args:
            output_size: (height, width) of a pooled region, or one number for both.
            spatial_scale: what box coordinates are multiplied with to get feature coordinates.
            sampling_ratio: samples per output cell along each axis; 0 takes as many as the region has pixels.
        """
        super().__init__()
        height, width = (output_size, output_size) if isinstance(output_size, int) else output_size
        self.output_size = (height, width)
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio

    def forward(self, input: Tensor, rois: Tensor) -> Tensor:
        """Pool rotated regions of feature maps.

        Args:
            input: (N, C, H, W).
            rois: (R, 6): index of the image in the batch, then (xc, yc, width, height, angle) in pixels
                before ``spatial_scale`` and degrees counter-clockwise.

        Returns:
            (R, C, *output_size), of the type of ``input``; the gradient goes to ``input`` only.
        """
        return roi_align_rotated(input, rois, self.output_size, self.spatial_scale, self.sampling_ratio)

    def extra_repr(self) -> str:
        """Return the arguments, for `repr`."""
        return (
            f"output_size={self.output_size}, spatial_scale={self.spatial_scale}, "
            f"sampling_ratio={self.sampling_ratio}"
        )


def roi_align_rotated(
    input: Tensor, rois: Tensor, output_size: tuple[int, int], spatial_scale: float, sampling_ratio: int
) -> Tensor:
    """Pool regions (R, 6) of maps (N, C, H, W) to (R, C, height, width), as `ROIAlignRotated` does."""
    return roi_align_rotated_levels([input], rois, None, output_size, [spatial_scale], sampling_ratio)


def roi_align_rotated_levels(
    inputs: Sequence[Tensor],
    rois: Tensor,
    levels: Tensor | None,
    output_size: tuple[int, int],
    spatial_scales: Sequence[float],
    sampling_ratio: int,
) -> Tensor:
    """`ROIAlignRotated` where each region is of one of several maps.

    Every output cell is a weighted sum of pixels, four for each of its samples: a bag of an embedding, where
    the pixels are the embedding. So no sampled features are held, forward or backward. The device is waited
    for once, and only for ``sampling_ratio=0``: for the number of samples.

    Args:
        inputs: maps (N, C, H_i, W_i).
        rois: (R, 6), as `ROIAlignRotated` takes them.
        levels: (R,) int64, the map of each region; None if there is but one.
        output_size: (height, width) of a pooled region.
        spatial_scales: of each map.
        sampling_ratio: as for `ROIAlignRotated`.

    Raises:
        ValueError: the regions are not (R, 6).
    """
    if rois.dim() != 2 or rois.shape[1] != 6:
        raise ValueError(f"ROIAlignRotated: expected rois (R, 6), got {tuple(rois.shape)}")
    # A number of samples that only the data know is a place where torch.compile cuts: here, and only here.
    pool = _pooled if sampling_ratio > 0 else _pooled_adaptively
    return pool(inputs, rois, levels, output_size, spatial_scales, sampling_ratio)


def _pooled(
    inputs: Sequence[Tensor],
    rois: Tensor,
    levels: Tensor | None,
    output_size: tuple[int, int],
    spatial_scales: Sequence[float],
    sampling_ratio: int,
) -> Tensor:
    dtype = inputs[0].dtype
    wide = torch.promote_types(dtype, torch.float32)
    channels = inputs[0].shape[1]
    if rois.shape[0] == 0 or all(x.numel() == 0 for x in inputs):
        # Of the type and in the graph of the input.
        nothing = torch.stack([x.sum() * 0 for x in inputs]).sum()
        return inputs[0].new_zeros((rois.shape[0], channels, *output_size)) + nothing
    pixels = torch.cat([x.to(wide).permute(0, 2, 3, 1).reshape(-1, channels) for x in inputs])
    rois = rois.detach().to(wide)
    scale, width, height, start = _of_levels(inputs, levels, spatial_scales, rois)
    plane = torch.stack((width, height, start + rois[:, 0].long() * (width * height)), dim=1)
    rois = torch.cat((rois[:, 1:5] * scale[:, None], rois[:, 5:]), dim=1)
    cell_size = torch.stack((rois[:, 2] / output_size[1], rois[:, 3] / output_size[0]), dim=1)
    cells = output_size[0] * output_size[1]
    if sampling_ratio > 0:
        grid = torch.full_like(cell_size, sampling_ratio, dtype=torch.int64)
        samples = [sampling_ratio**2 * cells] * len(rois)
    else:
        grid = cell_size.ceil().to(torch.int64).clamp(min=0)
        # The number of samples is the shape of what follows: the host has to know.
        samples = (grid.prod(dim=1) * cells).tolist()
    pooled = []
    for part, total in _parts(samples, _CHUNK_LOOKUPS // 4):
        at, weight, offsets = _lookups(
            rois[part], plane[part], cell_size[part], grid[part], total, output_size
        )
        pooled.append(F.embedding_bag(at, pixels, offsets, mode="sum", per_sample_weights=weight))
    out = torch.cat(pooled).view(len(rois), *output_size, channels)
    return out.permute(0, 3, 1, 2).contiguous().to(dtype)


_pooled_adaptively = torch.compiler.disable(_pooled)


def _parts(samples: list[int], budget: int) -> Iterator[tuple[slice, int]]:
    """Runs of regions that stay within the budget of samples, each with its number of samples."""
    start = held = 0
    for i, count in enumerate(samples):
        if i > start and held + count > budget:
            yield slice(start, i), held
            start, held = i, 0
        held += count
    yield slice(start, len(samples)), held


def _of_levels(
    inputs: Sequence[Tensor], levels: Tensor | None, scales: Sequence[float], rois: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """For each region, (R,): scale, width and height of its map, and the map's first pixel among those of
    all maps. Made of numbers that the host knows, without sending it any table.
    """
    scale = rois.new_full((len(rois),), scales[0])
    numbers = [torch.zeros_like(scale, dtype=torch.int64) for _ in range(3)]
    start = 0
    for level, (x, of_level) in enumerate(zip(inputs, scales, strict=True)):
        images, _, height, width = x.shape
        here = torch.ones_like(scale, dtype=torch.bool) if levels is None else levels == level
        scale = torch.where(here, of_level, scale)
        numbers = [
            torch.where(here, new, old) for new, old in zip((width, height, start), numbers, strict=True)
        ]
        start += images * height * width
    return (scale, *numbers)


def _lookups(
    boxes: Tensor, plane: Tensor, cell_size: Tensor, grid: Tensor, total: int, output_size: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return which pixels to add up, and with which weights.

    Args:
        boxes: (R, 5) in feature coordinates.
        plane: (R, 3) width and height of the feature plane, and the number of its first pixel.
        cell_size: (R, 2) width and height of an output cell.
        grid: (R, 2) samples in an output cell along its width and height.
        total: number of all samples.

    Returns:
        index into the pixels (4 * total,), weight (4 * total,), and where each of the R * cells bags begins.
    """
    rows, columns = output_size
    # Samples are listed region by region, cell by cell, row by row.
    per_bag = grid.prod(dim=1).repeat_interleave(rows * columns, output_size=len(boxes) * rows * columns)
    start = per_bag.cumsum(0) - per_bag
    bag = torch.repeat_interleave(per_bag, output_size=total)
    sample = torch.arange(total, device=boxes.device) - start[bag]
    roi = bag.div(rows * columns, rounding_mode="floor")
    row = bag.div(columns, rounding_mode="floor") % rows
    column = bag % columns
    steps_x, steps_y = grid[roi].unbind(dim=1)
    cell_w, cell_h = cell_size[roi].unbind(dim=1)
    step_x, step_y = sample % steps_x, sample.div(steps_x, rounding_mode="floor")
    along_w = (column - columns / 2) * cell_w + (step_x + 0.5) * cell_w / steps_x
    along_h = (row - rows / 2) * cell_h + (step_y + 0.5) * cell_h / steps_y

    # Turned around the centre of the region, whose y axis points down; pixel i has its centre at i + 0.5.
    theta = boxes[:, 4] * (math.pi / 180)
    cos, sin = torch.cos(theta)[roi], torch.sin(theta)[roi]
    x = along_h * sin + along_w * cos + (boxes[:, 0] - 0.5)[roi]
    y = along_h * cos - along_w * sin + (boxes[:, 1] - 0.5)[roi]

    width, height, first = plane[roi].unbind(dim=1)
    outside = (y < -1) | (y > height) | (x < -1) | (x > width)
    share = torch.where(outside, 0.0, 1.0 / (steps_x * steps_y))
    if total > _MANY_SAMPLES * len(per_bag):
        # Regions far larger than the map: the points outside, which count 0, are not carried on.
        inside = (~outside).nonzero()[:, 0]
        x, y, share, width, height, first, bag = (
            values[inside] for values in (x, y, share, width, height, first, bag)
        )
        per_bag = torch.zeros_like(per_bag).index_add_(0, bag, torch.ones_like(bag))
        start = per_bag.cumsum(0) - per_bag
    x, y = torch.minimum(x.clamp(min=0), width - 1), torch.minimum(y.clamp(min=0), height - 1)
    left, top = x.floor(), y.floor()
    to_right, to_bottom = x - left, y - top
    left, top = left.long(), top.long()
    right, bottom = torch.minimum(left + 1, width - 1), torch.minimum(top + 1, height - 1)
    at = torch.stack([first + v * width + u for v in (top, bottom) for u in (left, right)], dim=1)
    weight = torch.stack([v * u for v in (1 - to_bottom, to_bottom) for u in (1 - to_right, to_right)], dim=1)
    return at.flatten(), (weight * share[:, None]).to(boxes.dtype).flatten(), start * 4
