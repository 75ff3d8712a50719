"""From dense predictions to proposals, for a whole batch at once."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lazycfg.layers import batched_nms
from lazycfg.layers.nms_groups import grouped_nms
from lazycfg.layers.nms_rotated_groups import grouped_nms_rotated
from lazycfg.structures import Boxes, Instances, RotatedBoxes
from lazycfg.structures.rotated_boxes import clip_rotated

from ..padded import GroundTruth, PaddedProposals, upload

__all__ = [
    "add_ground_truth_to_proposals",
    "clip_boxes",
    "find_top_rpn_proposals",
    "image_bounds",
    "select_by_nms",
]

# The logit of an object that is certain (to 1e-10): what ground truth boxes get as proposals.
GT_LOGIT = math.log((1.0 - 1e-10) / (1 - (1.0 - 1e-10)))


def image_bounds(image_sizes: Sequence[tuple[int, int]], device: torch.device) -> Tensor:
    """(B, 4) float32: width, height, width, height in pixels, the upper bounds of XYXY."""
    return upload([(w, h, w, h) for h, w in image_sizes], device, torch.float32)


def clip_boxes(boxes: Tensor, bounds: Tensor) -> Tensor:
    """Boxes (B, N, 4) XYXY, or (B, N, 5), clipped to the images; `bounds` as `image_bounds` gives them."""
    if boxes.shape[-1] == 5:
        return clip_rotated(boxes, bounds[:, :1], bounds[:, 1:2])
    return torch.minimum(boxes.clamp(min=0), bounds[:, None])


def box_sides(boxes: Tensor) -> Tensor:
    """Widths and heights (..., 2) of boxes (..., 4) XYXY or (..., 5)."""
    return boxes[..., 2:4] if boxes.shape[-1] == 5 else boxes[..., 2:] - boxes[..., :2]


def find_top_rpn_proposals(
    proposals: Sequence[Tensor],
    pred_objectness_logits: Sequence[Tensor],
    image_sizes: Sequence[tuple[int, int]],
    nms_thresh: float,
    pre_nms_topk: int,
    post_nms_topk: int,
    min_box_size: float,
    training: bool,
) -> PaddedProposals:
    """The best proposals of all levels after NMS within each level.

    Args:
        proposals: per level (B, N_i, 4) decoded XYXY boxes, or (B, N_i, 5) rotated ones.
        pred_objectness_logits: per level (B, N_i).
        image_sizes: (height, width) of each image.
        nms_thresh: overlap above which the worse of two boxes of a level goes.
        pre_nms_topk: boxes of a level that go into NMS; post_nms_topk: boxes of an image that come out.
        min_box_size: both sides must be longer than this, in pixels.
        training: whether non-finite predictions are an error (raised once the proposals are sampled).

    Returns:
        The list of `Instances` with ``proposal_boxes`` and ``objectness_logits``, best first.
    """
    boxes, logits, level_sizes = [], [], []
    for level_boxes, level_logits in zip(proposals, pred_objectness_logits, strict=True):
        k = min(level_logits.shape[1], pre_nms_topk)
        top, index = level_logits.float().topk(k, dim=1)
        logits.append(top)
        boxes.append(level_boxes.gather(1, index.unsqueeze(-1).expand(-1, -1, level_boxes.shape[-1])))
        level_sizes.append(k)
    return select_by_nms(
        torch.cat(boxes, dim=1),
        torch.cat(logits, dim=1),
        level_sizes,
        image_sizes,
        nms_thresh=nms_thresh,
        post_nms_topk=post_nms_topk,
        min_box_size=min_box_size,
        check_finite=training,
    )


def select_by_nms(
    boxes: Tensor,
    logits: Tensor,
    level_sizes: Sequence[int],
    image_sizes: Sequence[tuple[int, int]],
    *,
    nms_thresh: float,
    post_nms_topk: int,
    min_box_size: float,
    check_finite: bool,
) -> PaddedProposals:
    """One NMS for all images and levels.

    Args:
        boxes: (B, K, 4) XYXY candidates, not clipped yet; or (B, K, 5) rotated ones.
        logits: (B, K), falling within each level.
        level_sizes: how many of the K are of each level; those of others are not suppressed.
        check_finite: keep for later whether all predictions were finite.
    """
    k = logits.shape[1]
    usable = torch.isfinite(boxes).all(dim=-1) & torch.isfinite(logits)
    finite = usable.all() if check_finite else None
    boxes = clip_boxes(boxes, image_bounds(image_sizes, boxes.device))
    usable = usable & (box_sides(boxes) > min_box_size).all(dim=-1)
    # What may not be chosen becomes an empty box: it overlaps nothing and comes last.
    boxes = torch.where(usable.unsqueeze(-1), boxes, 0.0)
    scores = torch.where(usable, logits, -math.inf)
    rank = rank_after_nms(boxes, scores, level_sizes, nms_thresh)
    top, index = (rank * usable).topk(min(k, post_nms_topk), dim=1)
    valid = top > 0
    index = torch.where(valid, index, index[:, :1])
    chosen = boxes.gather(1, index.unsqueeze(-1).expand(-1, -1, boxes.shape[-1]))
    found = PaddedProposals(chosen, logits.gather(1, index), valid, image_sizes, finite=finite)
    found.box_class = RotatedBoxes if boxes.shape[-1] == 5 else Boxes
    return found


def rank_after_nms(boxes: Tensor, scores: Tensor, level_sizes: Sequence[int], nms_thresh: float) -> Tensor:
    """The order in which NMS within each level keeps boxes (B, K, box_dim), counted down; 0 for what it does
    not keep. Within a level better boxes come first."""
    if boxes.shape[-1] == 5:
        keep = torch.cat(grouped_nms_rotated(boxes.split(list(level_sizes), dim=1), nms_thresh), dim=1)
    elif boxes.device.type in ("cpu", "meta"):
        keep = kept_of_levels(boxes, scores, level_sizes, nms_thresh)
    else:
        keep = torch.cat(grouped_nms(boxes.split(list(level_sizes), dim=1), nms_thresh), dim=1)
    order = scores.sort(dim=1, descending=True, stable=True).indices
    falling = torch.arange(scores.shape[1], 0, -1, device=scores.device).expand_as(order)
    return torch.zeros_like(order).scatter_(1, order, falling) * keep


def kept_of_levels(boxes: Tensor, scores: Tensor, level_sizes: Sequence[int], nms_thresh: float) -> Tensor:
    """(B, K) bool: what NMS keeps. A host is faster when it looks at no more pairs than it must."""
    sizes = enumerate(level_sizes)
    levels = torch.cat([scores.new_full((size,), level, dtype=torch.int64) for level, size in sizes])
    groups = torch.arange(len(boxes), device=boxes.device)[:, None] * len(level_sizes) + levels
    keep = batched_nms(boxes.reshape(-1, 4), scores.reshape(-1), groups.reshape(-1), nms_thresh)
    kept = torch.zeros(scores.numel(), dtype=torch.bool, device=scores.device)
    return kept.index_fill_(0, keep, True).view(scores.shape)


def add_ground_truth_to_proposals(
    gt: Sequence[Instances] | Sequence[Boxes], proposals: Sequence[Instances]
) -> PaddedProposals:
    """Append the ground truth boxes to the proposals, as objects that are certain.

    Args:
        gt: per image `Instances` with ``gt_boxes``, or `Boxes`.
        proposals: per image `Instances` with ``proposal_boxes`` and ``objectness_logits``.
    """
    if len(gt) != len(proposals):
        raise ValueError(f"ground truth of {len(gt)} images for the proposals of {len(proposals)}")
    padded = PaddedProposals.from_instances(proposals)
    as_instances = [
        x if isinstance(x, Instances) else Instances(size, gt_boxes=x)
        for x, size in zip(gt, padded.image_sizes, strict=True)
    ]
    truth = GroundTruth(as_instances, padded.boxes.device, classes=False)
    boxes, logits, valid = with_ground_truth(padded, truth)
    # Valid rows first again, in order.
    order = valid.to(torch.int8).sort(dim=1, descending=True, stable=True).indices
    counts = None
    if padded.counts is not None:
        counts = [a + b for a, b in zip(padded.counts, truth.counts, strict=True)]
    out = PaddedProposals(
        boxes.gather(1, order.unsqueeze(-1).expand_as(boxes)),
        logits.gather(1, order),
        valid.gather(1, order),
        padded.image_sizes,
        finite=padded.finite,
        counts=counts,
    )
    out.box_class = padded.box_class
    return out


def with_ground_truth(proposals: PaddedProposals, gt: GroundTruth) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes (B, P + M, 4), logits (B, P + M) and validity of proposals followed by ground truth."""
    gt_logits = proposals.logits.new_full(gt.valid.shape, GT_LOGIT)
    return (
        torch.cat((proposals.boxes, gt.boxes.to(proposals.boxes.dtype)), dim=1),
        torch.cat((proposals.logits, gt_logits), dim=1),
        torch.cat((proposals.valid, gt.valid), dim=1),
    )
