"""From dense predictions to proposals, for a whole batch at once."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lazycfg.layers import batched_nms
from lazycfg.structures import Boxes, Instances

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
    """XYXY boxes (B, N, 4) clipped to the images; `bounds` (B, 4) as `image_bounds` gives them."""
    return torch.minimum(boxes.clamp(min=0), bounds[:, None])


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
        proposals: per level (B, N_i, 4) decoded XYXY boxes.
        pred_objectness_logits: per level (B, N_i).
        image_sizes: (height, width) of each image.
        nms_thresh: overlap above which the worse of two boxes of a level goes.
        pre_nms_topk: boxes of a level that go into NMS; post_nms_topk: boxes of an image that come out.
        min_box_size: both sides must be longer than this, in pixels.
        training: whether non-finite predictions are an error (raised once the proposals are sampled).

    Returns:
        The list of `Instances` with ``proposal_boxes`` and ``objectness_logits``, best first.
    """
    boxes, logits, levels = [], [], []
    for level, (level_boxes, level_logits) in enumerate(zip(proposals, pred_objectness_logits, strict=True)):
        k = min(level_logits.shape[1], pre_nms_topk)
        top, index = level_logits.float().topk(k, dim=1)
        logits.append(top)
        boxes.append(level_boxes.gather(1, index.unsqueeze(-1).expand(-1, -1, level_boxes.shape[-1])))
        levels.append(torch.full((k,), level, dtype=torch.int64, device=top.device))
    return select_by_nms(
        torch.cat(boxes, dim=1),
        torch.cat(logits, dim=1),
        torch.cat(levels),
        image_sizes,
        num_levels=len(proposals),
        nms_thresh=nms_thresh,
        post_nms_topk=post_nms_topk,
        min_box_size=min_box_size,
        check_finite=training,
    )


def select_by_nms(
    boxes: Tensor,
    logits: Tensor,
    levels: Tensor,
    image_sizes: Sequence[tuple[int, int]],
    *,
    num_levels: int,
    nms_thresh: float,
    post_nms_topk: int,
    min_box_size: float,
    check_finite: bool,
) -> PaddedProposals:
    """One NMS for all images and levels.

    Args:
        boxes: (B, K, 4) XYXY candidates, not clipped yet.
        logits: (B, K).
        levels: (K,) int64 below `num_levels`; boxes of different levels do not suppress each other.
        check_finite: keep for later whether all predictions were finite.
    """
    batch, k = logits.shape
    device = boxes.device
    usable = torch.isfinite(boxes).all(dim=-1) & torch.isfinite(logits)
    finite = usable.all() if check_finite else None
    boxes = clip_boxes(boxes, image_bounds(image_sizes, device))
    sides = boxes[..., 2:] - boxes[..., :2]
    usable = usable & (sides > min_box_size).all(dim=-1)
    # What may not be chosen becomes an empty box: it overlaps nothing and comes last.
    boxes = torch.where(usable.unsqueeze(-1), boxes, 0.0)
    scores = torch.where(usable, logits, -math.inf)
    groups = torch.arange(batch, device=device)[:, None] * num_levels + levels
    keep = batched_nms(boxes.reshape(-1, 4), scores.reshape(-1), groups.reshape(-1), nms_thresh)

    # The order in which NMS kept them, counted down; 0 for what it did not keep.
    rank = torch.zeros(batch * k, dtype=torch.int64, device=device)
    rank[keep] = torch.arange(keep.shape[0], 0, -1, device=device)
    top, index = (rank.reshape(batch, k) * usable).topk(min(k, post_nms_topk), dim=1)
    valid = top > 0
    index = torch.where(valid, index, index[:, :1])
    chosen = boxes.gather(1, index.unsqueeze(-1).expand(-1, -1, 4))
    return PaddedProposals(chosen, logits.gather(1, index), valid, image_sizes, finite=finite)


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
    truth = GroundTruth(as_instances, padded.boxes.device)
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
