"""Pooling regions from the levels of a feature pyramid."""

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.ops import RoIPool

from lazycfg.layers import ROIAlign, ROIAlignRotated
from lazycfg.layers.roi_align_rotated import roi_align_rotated_levels

__all__ = ["ROIPooler", "assign_boxes_to_levels", "convert_boxes_to_pooler_format"]


class AnyBoxes(Protocol):
    """`Boxes` or `RotatedBoxes`: a tensor (N, 4) or (N, 5) and its areas."""

    tensor: Tensor

    def area(self) -> Tensor:
        """Return (N,) areas in square pixels."""

    def __len__(self) -> int: ...


# A box of no size, far outside of every map: it pools to zeros and the kernels do next to nothing for it.
NOWHERE = -1e5


def assign_boxes_to_levels(
    box_lists: Sequence[AnyBoxes],
    min_level: int,
    max_level: int,
    canonical_box_size: int,
    canonical_level: int,
) -> Tensor:
    """Level of each box by its size (equation 1 of FPN, arXiv:1612.03144).

    Args:
        box_lists: the boxes of each image, R in all.
        min_level, max_level: finest and coarsest level, as log2 of their strides.
        canonical_box_size: square root of the area in pixels that belongs to `canonical_level`.

    Returns:
        (R,) int64 from 0 (`min_level`) to ``max_level - min_level``.
    """
    area = torch.cat([boxes.area() for boxes in box_lists])
    return levels_of_areas(area, min_level, max_level, canonical_box_size, canonical_level)


def levels_of_areas(
    area: Tensor, min_level: int, max_level: int, canonical_box_size: int, canonical_level: int
) -> Tensor:
    """Return (R,) int64 levels from 0, by the rule of `assign_boxes_to_levels`, for areas (R,) in square
    pixels.
    """
    level = torch.floor(canonical_level + torch.log2(torch.sqrt(area) / canonical_box_size + 1e-8))
    return level.clamp(min=min_level, max=max_level).to(torch.int64) - min_level


def convert_boxes_to_pooler_format(box_lists: Sequence[AnyBoxes]) -> Tensor:
    """Boxes of N images -> (R, 1 + box_dim): the index of the image in the batch, then the box."""
    boxes = torch.cat([b.tensor for b in box_lists])
    return torch.cat((image_index([len(b) for b in box_lists], boxes)[:, None], boxes), dim=1)


def image_index(counts: Sequence[int], like: Tensor) -> Tensor:
    """Return each image's index as often as it has boxes, shape (N,) for N boxes in all; dtype and device of
    `like`.
    """
    images = torch.arange(len(counts), dtype=like.dtype, device=like.device)
    if len(set(counts)) == 1:
        return images[:, None].expand(-1, counts[0]).reshape(-1)
    repeats = torch.tensor(counts).to(like.device, non_blocking=True)
    return images.repeat_interleave(repeats, output_size=sum(counts))


class ROIPooler(nn.Module):
    """Pools each box from the pyramid level that fits its size.

    On a device every level pools *all* boxes, those of other levels moved out of the image, where they cost
    the kernel nearly nothing, and the results are added up: no list of unknown length, so no waiting. On the
    host, where the lengths are known, each level pools its own. Rotated regions are pooled from all levels in
    one go.

    Args:
        output_size: (height, width) of a pooled region, or one number for both.
        scales: of each level, 1 / stride; strides double from one to the next.
        sampling_ratio: samples per output cell and axis; 0 takes as many as there are pixels.
        pooler_type: "ROIAlignV2" (aligned), "ROIAlign" (half a pixel off), "ROIPool" or "ROIAlignRotated".
        canonical_box_size, canonical_level: boxes of this size in pixels go to the level of stride
            2^canonical_level.
    """

    def __init__(
        self,
        *,
        output_size: int | tuple[int, int],
        scales: Sequence[float],
        sampling_ratio: int,
        pooler_type: str,
        canonical_box_size: int = 224,
        canonical_level: int = 4,
    ) -> None:
        super().__init__()
        size = (output_size, output_size) if isinstance(output_size, int) else tuple(output_size)
        if len(size) != 2:
            raise ValueError(f"ROIPooler: output_size is one number or two, got {output_size!r}")
        if canonical_box_size <= 0:
            raise ValueError(f"ROIPooler: canonical_box_size must be positive, got {canonical_box_size}")
        self.output_size = size
        self.level_poolers = nn.ModuleList(
            make_pooler(pooler_type, size, scale, sampling_ratio) for scale in scales
        )
        first, last = -math.log2(scales[0]), -math.log2(scales[-1])
        if not math.isclose(first, round(first)) or not math.isclose(last, round(last)):
            raise ValueError(f"ROIPooler: scales must be powers of 1/2, got {list(scales)}")
        self.min_level, self.max_level = round(first), round(last)
        if len(scales) != self.max_level - self.min_level + 1:
            raise ValueError(f"ROIPooler: each scale must be half of the one before, got {list(scales)}")
        self.canonical_box_size = canonical_box_size
        self.canonical_level = canonical_level

    def forward(self, x: Sequence[Tensor], box_lists: Sequence[AnyBoxes]) -> Tensor:
        """Pool the regions of all images and levels.

        Args:
            x: maps (N, C, H, W), one per level.
            box_lists: the boxes of each of the N images, in pixels of the input; R in all.

        Returns:
            (R, C, *output_size).

        Raises:
            ValueError: the maps are not one for each level, or the lists of boxes not one for each image.
        """
        if len(x) != len(self.level_poolers):
            raise ValueError(f"ROIPooler has {len(self.level_poolers)} levels, got {len(x)} feature maps")
        if len(box_lists) != x[0].shape[0]:
            raise ValueError(f"ROIPooler: {len(box_lists)} lists of boxes for {x[0].shape[0]} images")
        if sum(len(boxes) for boxes in box_lists) == 0:
            return x[0].new_zeros((0, x[0].shape[1], *self.output_size))
        return self.pool(x, convert_boxes_to_pooler_format(box_lists))

    def pool(self, x: Sequence[Tensor], rois: Tensor) -> Tensor:
        """As `forward`, of rois (R, 5) or (R, 6) in the format of `convert_boxes_to_pooler_format`."""
        if len(self.level_poolers) == 1:
            return self.level_poolers[0](x[0], rois)
        levels = self.levels(rois)
        if rois.shape[1] == 6:  # all levels at once
            first = self.level_poolers[0]
            scales = [pooler.spatial_scale for pooler in self.level_poolers]
            return roi_align_rotated_levels(x, rois, levels, self.output_size, scales, first.sampling_ratio)
        if rois.device.type == "cpu" and not torch.compiler.is_compiling():
            return self.pool_by_level(x, rois, levels)
        nowhere = self.nowhere(rois)
        out: Tensor | None = None
        for level, (feature, pooler) in enumerate(zip(x, self.level_poolers, strict=True)):
            pooled = pooler(feature, torch.where((levels == level)[:, None], rois, nowhere))
            out = pooled if out is None else out + pooled
        return out

    def pool_by_level(self, x: Sequence[Tensor], rois: Tensor, levels: Tensor) -> Tensor:
        """Return what `pool` does, (R, C, height, width), on the host, where the number of boxes of each
        level may be read.
        """
        on_host = levels.numpy()
        lost = (on_host < 0) | (on_host >= len(self.level_poolers))
        if lost.any():  # no number for a size: no box, which pools to zeros
            rois = torch.where(torch.from_numpy(lost)[:, None], self.nowhere(rois), rois)
            on_host = np.where(lost, 0, on_host)
        order = torch.from_numpy(on_host.argsort(kind="stable"))
        counts = np.bincount(on_host, minlength=len(self.level_poolers)).tolist()
        parts = rois[order].split(counts)
        pairs = zip(self.level_poolers, x, parts, strict=True)
        if torch.is_grad_enabled():
            return torch.cat([pooler(feature, part) for pooler, feature, part in pairs])[order.argsort()]
        # Written where they belong: regions are large, and each copy of them costs as much as pooling some
        out: Tensor | None = None
        for (pooler, feature, part), rows in zip(pairs, order.split(counts), strict=True):
            if len(rows):
                pooled = pooler(feature, part)
                out = pooled.new_empty((len(rois), *pooled.shape[1:])) if out is None else out
                out[rows] = pooled
        return out

    def levels(self, rois: Tensor) -> Tensor:
        """Return (R,) the level of each roi, counted from 0."""
        if rois.shape[1] == 6:  # (image, cx, cy, w, h, angle)
            area = rois[:, 3] * rois[:, 4]
        else:
            area = (rois[:, 3] - rois[:, 1]) * (rois[:, 4] - rois[:, 2])
        return levels_of_areas(
            area, self.min_level, self.max_level, self.canonical_box_size, self.canonical_level
        )

    @staticmethod
    def nowhere(rois: Tensor) -> Tensor:
        """Return one roi (1, 5) that pools to zeros."""
        nowhere = torch.zeros_like(rois[:1])
        nowhere[:, 1:5] = NOWHERE
        return nowhere


def make_pooler(
    pooler_type: str, output_size: tuple[int, int], scale: float, sampling_ratio: int
) -> nn.Module:
    """Return a pooler of one level by its name.

    Raises:
        ValueError: there is no pooler of that name.
    """
    if pooler_type == "ROIAlignV2":
        return ROIAlign(output_size, spatial_scale=scale, sampling_ratio=sampling_ratio, aligned=True)
    if pooler_type == "ROIAlign":
        return ROIAlign(output_size, spatial_scale=scale, sampling_ratio=sampling_ratio, aligned=False)
    if pooler_type == "ROIPool":
        return RoIPool(output_size, spatial_scale=scale)
    if pooler_type == "ROIAlignRotated":
        return ROIAlignRotated(output_size, spatial_scale=scale, sampling_ratio=sampling_ratio)
    known = ["ROIAlignV2", "ROIAlign", "ROIPool", "ROIAlignRotated"]
    raise ValueError(f"pooler_type is one of {known}, not {pooler_type!r}")
