"""Where the maps over proposals show annotated points, and what they show there."""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["PointSampler"]


class PointSampler:
    """Reads maps over the boxes of proposals at points that are given relative to the boxes of objects.

    Args:
        pairs: (P,) int64, the row of the boxes, and of the maps, that each point belongs to.
        x, y: (P,) float32 relative to the box of the object: 0 is its left or upper side, 256 the other one.
        gt_boxes, proposal_boxes: (R, 4) XYXY, in the same pixels.
        size: (height, width) of the maps.

    Attributes:
        valid: (P,) bool, whether the proposal covers the point.
    """

    def __init__(
        self,
        pairs: Tensor,
        x: Tensor,
        y: Tensor,
        gt_boxes: Tensor,
        proposal_boxes: Tensor,
        size: Sequence[int],
    ) -> None:
        gt, own = gt_boxes.detach().float()[pairs], proposal_boxes.detach().float()[pairs]
        left, right, to_right, inside_x = locate(x, gt[:, 0::2], own[:, 0::2], size[1])
        upper, lower, to_lower, inside_y = locate(y, gt[:, 1::2], own[:, 1::2], size[0])
        self.valid = inside_x & inside_y
        self.pairs = pairs
        rows = torch.stack((upper, upper, lower, lower))
        # the four cells around each point, read by one op: the gradient of each is as large as the maps
        self.cells = rows * size[1] + torch.stack((left, right, left, right))
        of_rows = torch.stack((1 - to_lower, 1 - to_lower, to_lower, to_lower))
        self.weights = of_rows * torch.stack((1 - to_right, to_right, 1 - to_right, to_right))

    def channel(self, maps: Tensor, channel: Tensor) -> Tensor:
        """Read maps (R, C, H, W), for each point at one channel (P,) int64 -> (P,) float32."""
        values = maps.flatten(2)[self.pairs, channel, self.cells]
        return (values.float() * self.weights).sum(dim=0)

    def channels(self, maps: Tensor) -> Tensor:
        """Read maps (R, C, H, W) at all channels -> (P, C) float32."""
        values = maps.flatten(2)[self.pairs, :, self.cells]
        return (values.float() * self.weights[:, :, None]).sum(dim=0)


def locate(
    relative: Tensor, gt_sides: Tensor, proposal_sides: Tensor, size: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Find points along one axis of a map over a box.

    A point of the box is at cell ``distance from its first side * size / length``, without a shift by half a
    cell.

    Args:
        relative: (P,) in units of 1/256 of the object's box.
        gt_sides, proposal_sides: (P, 2), the first and last side of each box in pixels.
        size: cells of the map.

    Returns:
        Of each point the two cells around it, the weight of the second one, and whether it is in the box;
        where it is not, cells and weights are some that can be read.
    """
    gt_start, gt_length = gt_sides[:, 0], gt_sides[:, 1] - gt_sides[:, 0]
    start, length = proposal_sides[:, 0], proposal_sides[:, 1] - proposal_sides[:, 0]
    distance = gt_start + relative * gt_length / 256.0 - start
    valid = (distance >= 0) & (distance < length)
    cell = torch.where(valid, distance * size / length, 0.0)
    low = cell.floor().long().clamp(max=size - 1)
    high = (low + 1).clamp(max=size - 1)
    return low, high, torch.minimum(cell, high.float()) - low, valid
