"""The windows that TensorMask predicts masks of, and which object each is trained on."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lazycfg.modeling import DefaultAnchorGenerator

__all__ = ["TensorMaskAnchorGenerator", "assign_anchors"]

# Entries of a matrix of ground truth and anchors looked at together
CHUNK_ENTRIES = 1 << 24


class TensorMaskAnchorGenerator(DefaultAnchorGenerator):
    """`DefaultAnchorGenerator` that also says where in the predictions each anchor is.

    The unit of length of an anchor is the stride of its level.

    Args:
        sizes, aspect_ratios, strides, offset: as of `DefaultAnchorGenerator`.
    """

    def __init__(
        self,
        *,
        sizes: Sequence[Sequence[float]] | Sequence[float],
        aspect_ratios: Sequence[Sequence[float]] | Sequence[float] = (1.0,),
        strides: Sequence[int],
        offset: float = 0.0,
    ) -> None:
        super().__init__(sizes=sizes, aspect_ratios=aspect_ratios, strides=strides, offset=offset)
        self.sizes = [list(of_level) if isinstance(of_level, Sequence) else [of_level] for of_level in sizes]

    def unit_lengths(self, grid_sizes: Sequence[Sequence[int]]) -> Tensor:
        """Return the unit of length of each anchor in pixels, (A,), all levels one after the other."""
        counts = [h * w * n for (h, w), n in zip(grid_sizes, self.num_anchors, strict=True)]
        like = self.cell_anchors[0]
        units = [like.new_full((n,), stride) for n, stride in zip(counts, self.strides, strict=True)]
        return torch.cat(units)

    def indexes(self, grid_sizes: Sequence[Sequence[int]]) -> Tensor:
        """Return (level, row, column, anchor of the place) of each anchor, (A, 4) int64, on the host."""
        levels = []
        for level, ((h, w), n) in enumerate(zip(grid_sizes, self.num_anchors, strict=True)):
            levels.append(torch.cartesian_prod(*(torch.arange(size, device="cpu") for size in (1, h, w, n))))
            levels[-1][:, 0] = level
        return torch.cat(levels)


@torch.no_grad()
def assign_anchors(
    gt_boxes: Tensor,
    gt_valid: Tensor,
    anchors: Tensor,
    unit_lengths: Tensor,
    *,
    min_anchor_size: float,
    scale_thresh: float = 2.0,
    spatial_thresh: float = 1.0,
    uniqueness_on: bool = True,
) -> tuple[Tensor, Tensor]:
    """Assign anchors to objects by the rules of TensorMask (arXiv:1903.12174, section 4.1).

    An anchor is that of an object if it contains it, is not much larger, and has its centre close by.

    Args:
        gt_boxes: (B, M, 4) XYXY, padded; gt_valid: (B, M) bool, which there are.
        anchors: (A, 4) XYXY; unit_lengths: (A,) pixels.
        min_anchor_size: anchors of this size are not too large for any object, in pixels.
        scale_thresh: an anchor, less one unit, is at most so many times as large as its object.
        spatial_thresh: the centres are at most so many units apart.
        uniqueness_on: whether anchors of several objects are background; if not, they are not trained.

    Returns:
        matches (B, A) int64, the object of each anchor, of no meaning where it has not just one; and labels
        (B, A) int8: 1 an object, 0 background, -1 not trained.
    """
    batch, objects = gt_valid.shape
    found = torch.zeros((batch, len(anchors)), dtype=torch.int64, device=anchors.device)
    matches = torch.zeros_like(found)
    low, high = anchors.split(2, dim=1)
    anchor_size = (high - low).amax(dim=1) - unit_lengths
    radius = (spatial_thresh * unit_lengths).square()
    step = max(1, CHUNK_ENTRIES // max(1, found.numel()))
    for start in range(0, objects, step):
        boxes = gt_boxes[:, start : start + step, None]
        gt_low, gt_high = boxes.split(2, dim=-1)
        distance = ((low + high) / 2 - (gt_low + gt_high) / 2).square().sum(dim=-1)
        largest = (scale_thresh * (gt_high - gt_low).amax(dim=-1)).clamp(min=min_anchor_size)
        suits = (gt_low >= low).all(dim=-1) & (gt_high <= high).all(dim=-1)
        suits &= (anchor_size <= largest) & (distance <= radius)
        suits &= gt_valid[:, start : start + step, None]
        found += suits.sum(dim=1)
        index = torch.arange(start, start + boxes.shape[1], device=anchors.device)[:, None]
        matches += (suits * index).sum(dim=1)  # the object, where it is the only one
    labels = (found == 1).to(torch.int8)
    if not uniqueness_on:
        labels = labels.masked_fill(found > 1, -1)
    return torch.where(found == 1, matches, 0), labels
