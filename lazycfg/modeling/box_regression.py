"""Codecs between boxes and what a network predicts of them, and the losses on either."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lazycfg.layers.losses import ciou_loss, diou_loss, giou_loss
from lazycfg.structures.rotated_boxes import normalized_angle
from lazycfg.utils.suggest import closest

__all__ = [
    "Box2BoxTransform",
    "Box2BoxTransformLinear",
    "Box2BoxTransformRotated",
    "dense_box_regression_loss",
    "smooth_l1_loss",
]

# The largest factor a box grows by: no predicted log-size can overflow (1000 / 16 as in Faster R-CNN's code).
DEFAULT_SCALE_CLAMP = math.log(1000.0 / 16)


class Box2BoxTransform:
    """Offsets (dx, dy, dw, dh) of R-CNN (arXiv:1311.2524): shifts relative to the size, log ratios of sizes.

    Args:
        weights: the offsets are multiplied by these four, so that they have about unit variance.
        scale_clamp: upper bound of dw and dh after division by their weights.
    """

    def __init__(
        self,
        weights: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
        scale_clamp: float = DEFAULT_SCALE_CLAMP,
    ) -> None:
        if len(weights) != 4:
            raise ValueError(f"Box2BoxTransform: weights are four numbers, got {weights!r}")
        self.weights = tuple(weights)
        self.scale_clamp = scale_clamp

    def get_deltas(self, src_boxes: Tensor, target_boxes: Tensor) -> Tensor:
        """Offsets that turn one into the other: XYXY (..., 4), twice -> (..., 4). No source may be empty."""
        sx0, sy0, sx1, sy1 = src_boxes.unbind(-1)
        tx0, ty0, tx1, ty1 = target_boxes.unbind(-1)
        sw, sh, tw, th = sx1 - sx0, sy1 - sy0, tx1 - tx0, ty1 - ty0
        wx, wy, ww, wh = self.weights
        dx = wx * ((tx0 + 0.5 * tw) - (sx0 + 0.5 * sw)) / sw
        dy = wy * ((ty0 + 0.5 * th) - (sy0 + 0.5 * sh)) / sh
        return torch.stack((dx, dy, ww * torch.log(tw / sw), wh * torch.log(th / sh)), dim=-1)

    def apply_deltas(self, deltas: Tensor, boxes: Tensor) -> Tensor:
        """Boxes (..., 4) moved by offsets (..., k * 4) -> XYXY (..., k * 4), in float32 or better."""
        deltas = deltas.float() if deltas.dtype != torch.float64 else deltas
        boxes = boxes.to(deltas.dtype)
        x0, y0, x1, y1 = boxes.unsqueeze(-2).unbind(-1)
        w, h = x1 - x0, y1 - y0
        wx, wy, ww, wh = self.weights
        dx, dy, dw, dh = deltas.unflatten(-1, (-1, 4)).unbind(-1)
        cx = dx / wx * w + (x0 + 0.5 * w)
        cy = dy / wy * h + (y0 + 0.5 * h)
        half_w = 0.5 * (torch.exp((dw / ww).clamp(max=self.scale_clamp)) * w)
        half_h = 0.5 * (torch.exp((dh / wh).clamp(max=self.scale_clamp)) * h)
        return torch.stack((cx - half_w, cy - half_h, cx + half_w, cy + half_h), dim=-1).flatten(-2)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(weights={self.weights}, scale_clamp={self.scale_clamp:.6g})"


class Box2BoxTransformLinear:
    """Distances (left, top, right, bottom) from the centre of a box to a target (FCOS, arXiv:1904.01355).

    Args:
        normalize_by_size: divide the distances by the size of the source box.
    """

    def __init__(self, normalize_by_size: bool = True) -> None:
        self.normalize_by_size = normalize_by_size

    def get_deltas(self, src_boxes: Tensor, target_boxes: Tensor) -> Tensor:
        """XYXY (..., 4), twice -> (..., 4); negative where the centre lies outside the target."""
        centers = 0.5 * (src_boxes[..., :2] + src_boxes[..., 2:])
        deltas = torch.cat((centers - target_boxes[..., :2], target_boxes[..., 2:] - centers), dim=-1)
        if self.normalize_by_size:
            size = src_boxes[..., 2:] - src_boxes[..., :2]
            deltas = deltas / torch.cat((size, size), dim=-1)
        return deltas

    def apply_deltas(self, deltas: Tensor, boxes: Tensor) -> Tensor:
        """Boxes (..., 4) and distances (..., k * 4) -> XYXY (..., k * 4); negative distances count as 0."""
        deltas = F.relu(deltas.float() if deltas.dtype != torch.float64 else deltas)
        boxes = boxes.to(deltas.dtype).unsqueeze(-2)
        centers = 0.5 * (boxes[..., :2] + boxes[..., 2:])
        deltas = deltas.unflatten(-1, (-1, 4))
        if self.normalize_by_size:
            size = boxes[..., 2:] - boxes[..., :2]
            deltas = deltas * torch.cat((size, size), dim=-1)
        return torch.cat((centers - deltas[..., :2], centers + deltas[..., 2:]), dim=-1).flatten(-2)


class Box2BoxTransformRotated:
    """Offsets (dx, dy, dw, dh, da) of rotated boxes: `Box2BoxTransform`'s, and the turn in radians
    (RRPN, arXiv:1703.01086). The shifts are along the axes of the image, not along those of the box.

    Args:
        weights: the offsets are multiplied by these five, so that they have about unit variance.
        scale_clamp: upper bound of dw and dh after division by their weights.
    """

    def __init__(self, weights: Sequence[float], scale_clamp: float = DEFAULT_SCALE_CLAMP) -> None:
        if len(weights) != 5:
            raise ValueError(f"Box2BoxTransformRotated: weights are five numbers, got {weights!r}")
        self.weights = tuple(weights)
        self.scale_clamp = scale_clamp

    def get_deltas(self, src_boxes: Tensor, target_boxes: Tensor) -> Tensor:
        """Offsets that turn one into the other, by the shorter way round: (..., 5), twice -> (..., 5).

        No source may be empty. A turn is within [-pi, pi).
        """
        sx, sy, sw, sh, sa = src_boxes.unbind(-1)
        tx, ty, tw, th, ta = target_boxes.unbind(-1)
        wx, wy, ww, wh, wa = self.weights
        turn = normalized_angle(ta - sa) * (wa * math.pi / 180.0)
        shifts = (wx * (tx - sx) / sw, wy * (ty - sy) / sh)
        return torch.stack((*shifts, ww * torch.log(tw / sw), wh * torch.log(th / sh), turn), dim=-1)

    def apply_deltas(self, deltas: Tensor, boxes: Tensor) -> Tensor:
        """Boxes (..., 5) moved by offsets (..., k * 5) -> (..., k * 5), in float32 or better; the angles
        within [-180, 180).
        """
        deltas = deltas.float() if deltas.dtype != torch.float64 else deltas
        x, y, w, h, angle = boxes.to(deltas.dtype).unsqueeze(-2).unbind(-1)
        wx, wy, ww, wh, wa = self.weights
        dx, dy, dw, dh, turn = deltas.unflatten(-1, (-1, 5)).unbind(-1)
        new_w = torch.exp((dw / ww).clamp(max=self.scale_clamp)) * w
        new_h = torch.exp((dh / wh).clamp(max=self.scale_clamp)) * h
        angle = normalized_angle(turn / wa * (180.0 / math.pi) + angle)
        return torch.stack((dx / wx * w + x, dy / wy * h + y, new_w, new_h, angle), dim=-1).flatten(-2)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(weights={self.weights}, scale_clamp={self.scale_clamp:.6g})"


# losses on boxes XYXY (..., 4), twice -> (...)
IOU_LOSSES = {
    "giou": giou_loss,  # arXiv:1902.09630
    "diou": diou_loss,  # arXiv:1911.08287
    "ciou": ciou_loss,
}

BoxCodec = Box2BoxTransform | Box2BoxTransformLinear | Box2BoxTransformRotated


def smooth_l1_loss(input: Tensor, target: Tensor, beta: float) -> Tensor:
    """Return the elementwise Huber-like loss of two tensors of one shape: quadratic below `beta`, linear
    above; plain L1 for beta 0.
    """
    if beta < 1e-5:
        return torch.abs(input - target)
    return F.smooth_l1_loss(input, target, reduction="none", beta=beta)


def dense_box_regression_loss(
    anchors: Tensor,
    codec: BoxCodec,
    pred_deltas: Tensor,
    gt_boxes: Tensor,
    mask: Tensor,
    *,
    box_reg_loss_type: str = "smooth_l1",
    smooth_l1_beta: float = 0.0,
) -> Tensor:
    """Sum of the box losses where `mask` is true; no row is removed, so nothing waits for a count.

    Args:
        anchors: (..., 4) XYXY that the offsets refer to; or (..., 5) rotated, and so the others.
        codec: turns offsets into boxes and back.
        pred_deltas: (..., 4).
        gt_boxes: (..., 4) XYXY; any value where the mask is false.
        mask: (...) bool.
        box_reg_loss_type: "smooth_l1" on the offsets; "giou", "diou" or "ciou" on (upright) boxes.
        smooth_l1_beta: see `smooth_l1_loss`.
    """
    keep = mask.unsqueeze(-1)
    pred_deltas = pred_deltas.float()
    # A row that does not count gets itself as target: finite in both directions of the graph.
    gt_boxes = torch.where(keep, gt_boxes, anchors)
    if box_reg_loss_type == "smooth_l1":
        loss = smooth_l1_loss(pred_deltas, codec.get_deltas(anchors, gt_boxes), smooth_l1_beta)
        return torch.where(keep, loss, 0.0).sum()
    check_box_reg_loss_type(box_reg_loss_type)
    boxes = codec.apply_deltas(pred_deltas, anchors)
    return torch.where(mask, IOU_LOSSES[box_reg_loss_type](boxes, gt_boxes), 0.0).sum()


def check_box_reg_loss_type(name: str, codec: BoxCodec | None = None) -> None:
    """Raise ValueError for a loss that `dense_box_regression_loss` does not know (with this codec)."""
    if isinstance(codec, Box2BoxTransformRotated) and name in IOU_LOSSES:
        raise ValueError(f"box_reg_loss_type {name!r} is of upright boxes: for rotated ones 'smooth_l1'")
    known = ["smooth_l1", *IOU_LOSSES]
    if name not in known:
        raise ValueError(f"box_reg_loss_type is one of {known}, not {name!r}{closest(name, known)}")
