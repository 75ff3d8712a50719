"""Overlaps of rotated boxes.

In the frame of box B the area it shares with box A is an integral along the boundary of A (Green's theorem):

    area = | integral over the edges of A of  [x in B] * clamp(y, bottom of B, top of B) dx |

Each edge is straight, so its part is a formula. Nothing is sorted or classified, and the result depends
continuously on the corners: equal boxes, touching corners and coincident edges are no special cases.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = ["matched_iou_rotated", "pairwise_iou_rotated"]

# Pairs done at a time: bounds the temporaries at some 250 MB.
_CHUNK_PAIRS = 1 << 21


@torch.no_grad()
def pairwise_iou_rotated(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """Intersection over union of all pairs of rotated boxes.

    Computed in float64 where the device has it. No gradient. On the host only pairs whose upright hulls meet
    are looked at; a device is never waited for.

    Args:
        boxes1: (..., M, 5) as (xc, yc, width, height, angle): pixels, and degrees counter-clockwise.
        boxes2: (..., N, 5); leading dimensions broadcast.

    Returns:
        (..., M, N) float32 in [0, 1]; 0 for boxes without area.

    Raises:
        ValueError: the boxes are not (..., M, 5) and (..., N, 5).
    """
    if boxes1.shape[-1] != 5 or boxes2.shape[-1] != 5:
        raise ValueError(
            "pairwise_iou_rotated: expected boxes (..., M, 5) and (..., N, 5), "
            f"got {tuple(boxes1.shape)} and {tuple(boxes2.shape)}"
        )
    a, b = _precise(boxes1), _precise(boxes2)
    lead = torch.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    rows, columns = a.shape[-2], b.shape[-2]
    out = torch.zeros((*lead, rows, columns), device=a.device)
    step = max(1, _CHUNK_PAIRS // max(lead.numel() * columns, 1))
    for start in range(0, rows, step):
        part = a[..., start : start + step, None, :]
        against = b[..., None, :, :]
        if _reading_is_free(a):
            where = hulls_meet(part, against).nonzero(as_tuple=True)
            shape = (*lead, part.shape[-3], columns, 5)
            iou = matched_iou_rotated(part.expand(shape)[where], against.expand(shape)[where])
            out[..., start : start + step, :][where] = iou
        else:
            out[..., start : start + step, :] = matched_iou_rotated(part, against)
    return out


@torch.no_grad()
def matched_iou_rotated(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """Intersection over union of boxes (..., 5) that broadcast against each other; (...) float32."""
    a, b = _precise(boxes1), _precise(boxes2)
    area_a, area_b = a[..., 2] * a[..., 3], b[..., 2] * b[..., 3]
    inter = _intersection(a, b)
    inter = torch.minimum(inter, torch.minimum(area_a, area_b))
    real = (inter > 0) & (area_a >= 1e-14) & (area_b >= 1e-14)
    return torch.where(real, inter / (area_a + area_b - inter), 0.0).float()


def hulls_meet(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """Return (...) bool: whether the upright hulls of boxes (..., 5), broadcast against each other, meet."""
    reach = upright_reach(boxes1) + upright_reach(boxes2)
    return ((boxes1[..., :2] - boxes2[..., :2]).abs() <= reach).all(dim=-1)


def may_exceed(boxes1: Tensor, boxes2: Tensor, iou_threshold: float) -> Tensor:
    """Return whether the overlap of boxes (..., 5) that broadcast against each other may be above a
    threshold.

    Judged by areas and upright hulls, with little work: (...) bool, true where it is, and somewhere else.
    """
    area1, area2 = boxes1[..., 2] * boxes1[..., 3], boxes2[..., 2] * boxes2[..., 3]
    reach1, reach2 = upright_reach(boxes1), upright_reach(boxes2)
    shared = torch.minimum(area1, area2)
    hulls: Tensor | float = 1.0
    for axis in (0, 1):
        a, b = reach1[..., axis], reach2[..., axis]
        common = a + b - (boxes1[..., axis] - boxes2[..., axis]).abs()
        hulls = hulls * torch.minimum(common, 2 * torch.minimum(a, b)).clamp(min=0)
    shared = torch.minimum(shared, torch.as_tensor(hulls))
    # IoU > t is the same as intersection > t / (1 + t) * (sum of areas); a little less for rounding.
    least = 0.999 * iou_threshold / (1 + iou_threshold)
    return (shared > 0) & (shared >= least * (area1 + area2))


def upright_reach(boxes: Tensor) -> Tensor:
    """Half the width and height (..., 2) of the smallest upright box around a rotated one."""
    theta = boxes[..., 4] * (math.pi / 180)
    cos, sin = torch.cos(theta).abs(), torch.sin(theta).abs()
    half_w, half_h = boxes[..., 2] / 2, boxes[..., 3] / 2
    return torch.stack((cos * half_w + sin * half_h, cos * half_h + sin * half_w), dim=-1)


def _reading_is_free(boxes: Tensor) -> bool:
    return boxes.device.type == "cpu"


def _precise(boxes: Tensor) -> Tensor:
    return boxes.float() if boxes.device.type == "mps" else boxes.double()


def _intersection(a: Tensor, b: Tensor) -> Tensor:
    # The centre of A in the frame of B, and the axes of A there. The y axis of an image points down: the axes
    # of a box at angle t are (cos t, -sin t) and (sin t, cos t).
    dx, dy = a[..., 0] - b[..., 0], a[..., 1] - b[..., 1]
    theta = b[..., 4] * (math.pi / 180)
    cx = dx * torch.cos(theta) - dy * torch.sin(theta)
    cy = dx * torch.sin(theta) + dy * torch.cos(theta)
    turn = (a[..., 4] - b[..., 4]) * (math.pi / 180)
    cos, sin = torch.cos(turn), torch.sin(turn)
    half_w, half_h = a[..., 2] / 2, a[..., 3] / 2
    limit_x, limit_y = b[..., 2] / 2, b[..., 3] / 2
    wx, wy, hx, hy = half_w * cos, -half_w * sin, half_h * sin, half_h * cos

    apart = (cx.abs() >= wx.abs() + hx.abs() + limit_x) | (cy.abs() >= wy.abs() + hy.abs() + limit_y)
    reach_w = limit_x * cos.abs() + limit_y * sin.abs() + half_w
    reach_h = limit_x * sin.abs() + limit_y * cos.abs() + half_h
    apart |= ((cx * cos - cy * sin).abs() >= reach_w) | ((cx * sin + cy * cos).abs() >= reach_h)

    corners = [(cx + s * wx + t * hx, cy + s * wy + t * hy) for s, t in ((1, 1), (-1, 1), (-1, -1), (1, -1))]
    area: Tensor | float = 0.0
    for k in range(4):
        area = area + _under_edge(*corners[k - 1], *corners[k], limit_x, limit_y)
    return torch.where(apart, 0.0, torch.as_tensor(area).abs())


def _under_edge(x0: Tensor, y0: Tensor, x1: Tensor, y1: Tensor, limit_x: Tensor, limit_y: Tensor) -> Tensor:
    """Return the signed area between y = -limit_y and an edge cut to |x| <= limit_x, clamped to |y| <=
    limit_y.
    """
    left, right = x0.clamp(min=-limit_x, max=limit_x), x1.clamp(min=-limit_x, max=limit_x)
    slope = torch.where(x1 == x0, 0.0, (y1 - y0) / (x1 - x0))
    # Heights above the lower limit where the cut edge begins and ends; each from the nearer corner.
    begin, end = y0 + limit_y + slope * (left - x0), y1 + limit_y + slope * (right - x1)
    low, high, top = torch.minimum(begin, end), torch.maximum(begin, end), 2 * limit_y
    low_in, high_in = torch.minimum(low.clamp(min=0), top), torch.minimum(high.clamp(min=0), top)
    # The mean of the clamped height along the edge: a trapezoid inside the limits, a rectangle above.
    above = (high - top).clamp(min=0) - (low - top).clamp(min=0)
    mean = ((high_in - low_in) * (high_in + low_in) / 2 + above * top) / (high - low)
    return (right - left) * torch.where(high > low, mean, low_in)
