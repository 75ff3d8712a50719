"""From dense predictions to proposals, for a whole batch at once."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from lazycfg.layers import batched_nms
from lazycfg.layers.nms_groups import suppression_steps
from lazycfg.layers.nms_rotated_groups import grouped_nms_rotated
from lazycfg.structures import Boxes, Instances, RotatedBoxes
from lazycfg.structures.rotated_boxes import clip_rotated

from ..batched_instances import append_instances, field_names, split_instances
from ..padding import unpad_rows
from ..transfer import upload

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
    """Return (B, 4) float32: width, height, width, height in pixels, the upper bounds of XYXY."""
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
) -> list[Instances]:
    """Return the best proposals of all levels after NMS within each level.

    Args:
        proposals: per level (B, N_i, 4) decoded XYXY boxes, or (B, N_i, 5) rotated ones.
        pred_objectness_logits: per level (B, N_i).
        image_sizes: (height, width) of each image.
        nms_thresh: overlap above which the worse of two boxes of a level goes.
        pre_nms_topk: boxes of a level that go into NMS; post_nms_topk: boxes of an image that come out.
        min_box_size: both sides must be longer than this, in pixels.
        training: whether non-finite predictions are an error.

    Returns:
        Per image `Instances` with ``proposal_boxes`` and ``objectness_logits``, best first.

    Raises:
        FloatingPointError: in training, a prediction is not finite.
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
) -> list[Instances]:
    """Run one NMS for all images and levels.

    Args:
        boxes: (B, K, 4) XYXY candidates, not clipped yet; or (B, K, 5) rotated ones.
        logits: (B, K), falling within each level.
        level_sizes: how many of the K are of each level; those of others are not suppressed.
        check_finite: whether predictions that are not finite are an error; else they are left out.

    Returns:
        Per image `Instances` with ``proposal_boxes`` and ``objectness_logits``, best first.

    Raises:
        FloatingPointError: see `check_finite`.
    """
    k = logits.shape[1]
    boxes, scores, rank, finite = rank_proposals(boxes, logits, image_sizes, min_box_size)
    for keep, settled in suppress_levels(boxes, scores, level_sizes, nms_thresh):
        top, index = (rank * keep).topk(min(k, post_nms_topk), dim=1)
        # The one wait for the device: that the suppression is done, and how many boxes are left
        is_settled, is_finite, *counts = read_numbers(settled, finite, (top > 0).sum(dim=1), top.shape[1])
        if is_settled:
            break
    if check_finite and not is_finite:
        raise FloatingPointError(
            "the proposal generator predicted boxes or scores that are infinite or NaN: training has "
            "diverged (a lower learning rate, a longer warm-up or gradient clipping may help)"
        )
    chosen = boxes.gather(1, index.unsqueeze(-1).expand(-1, -1, boxes.shape[-1]))
    # the rows that are left come first
    fields = {
        "proposal_boxes": unpad_rows(chosen, counts),
        "objectness_logits": unpad_rows(logits.gather(1, index), counts),
    }
    return split_instances(image_sizes, counts, fields, RotatedBoxes if boxes.shape[-1] == 5 else Boxes)


def rank_proposals(
    boxes: Tensor, logits: Tensor, image_sizes: Sequence[tuple[int, int]], min_box_size: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Clip candidates to the images and rank them; arguments as `select_by_nms` has them.

    Returns:
        boxes (B, K, box_dim) and scores (B, K), zeros and minus infinity for what may not be chosen: an empty
        box overlaps nothing and comes last; (B, K) int64, the higher the better, 0 for what may not be
        chosen; and whether all predictions are finite, a bool on the device.
    """
    usable = torch.isfinite(boxes).all(dim=-1) & torch.isfinite(logits)
    finite = usable.all()
    boxes = clip_boxes(boxes, image_bounds(image_sizes, boxes.device))
    usable = usable & (box_sides(boxes) > min_box_size).all(dim=-1)
    boxes = torch.where(usable.unsqueeze(-1), boxes, 0.0)
    scores = torch.where(usable, logits, -math.inf)
    order = scores.sort(dim=1, descending=True, stable=True).indices
    falling = torch.arange(logits.shape[1], 0, -1, device=scores.device).expand_as(order)
    return boxes, scores, torch.zeros_like(order).scatter_(1, order, falling) * usable, finite


def read_numbers(settled: Tensor | None, finite: Tensor, counts: Tensor, most: int) -> list[int]:
    """Return what is known after a suppression: settled, finite, and the (N,) counts of the images.

    Waits for the device unless the host did it.
    """
    if counts.is_meta:  # which has shapes and no values: every box may be left
        return [1, 1, *[most] * len(counts)]
    if settled is None:
        return [1, *torch.cat((finite[None], counts)).numpy().tolist()]
    return torch.cat((torch.stack((settled, finite)), counts)).tolist()


def suppress_levels(
    boxes: Tensor, scores: Tensor, level_sizes: Sequence[int], nms_thresh: float
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Run NMS within each level.

    Args:
        boxes: (B, K, box_dim); within a level better boxes come first. scores: (B, K).

    Yields:
        (B, K) bool, the boxes that are left, and whether this is settled, a bool on the device: if not, the
        next step knows more. None in its place where the host has found them.
    """
    levels = boxes.split(list(level_sizes), dim=1)
    if boxes.shape[-1] == 5:
        yield torch.cat(grouped_nms_rotated(levels, nms_thresh), dim=1), scores.new_ones((), dtype=torch.bool)
    elif boxes.device.type in ("cpu", "meta"):
        yield kept_of_levels(boxes, scores, level_sizes, nms_thresh), None
    else:
        for parts, settled in suppression_steps(levels, nms_thresh):
            yield torch.cat(parts, dim=1), settled


def kept_of_levels(boxes: Tensor, scores: Tensor, level_sizes: Sequence[int], nms_thresh: float) -> Tensor:
    """Return (B, K) bool: the boxes that NMS keeps. A host is faster when it looks at no more pairs than it
    must.
    """
    sizes = enumerate(level_sizes)
    levels = torch.cat([scores.new_full((size,), level, dtype=torch.int64) for level, size in sizes])
    groups = torch.arange(len(boxes), device=boxes.device)[:, None] * len(level_sizes) + levels
    keep = batched_nms(boxes.reshape(-1, 4), scores.reshape(-1), groups.reshape(-1), nms_thresh)
    kept = torch.zeros(scores.numel(), dtype=torch.bool, device=scores.device)
    return kept.index_fill_(0, keep, True).view(scores.shape)


def add_ground_truth_to_proposals(
    gt: Sequence[Instances] | Sequence[Boxes], proposals: Sequence[Instances]
) -> list[Instances]:
    """Append the ground truth boxes to the proposals, as objects that are certain.

    Args:
        gt: per image `Instances` with ``gt_boxes``, or `Boxes`.
        proposals: per image `Instances` with ``proposal_boxes``. Fields besides ``objectness_logits`` are
            filled from fields of the same name of the ground truth.

    Raises:
        ValueError: the proposals have a field that is not known of the ground truth.
    """
    if len(gt) != len(proposals):
        raise ValueError(f"ground truth of {len(gt)} images for the proposals of {len(proposals)}")
    names = field_names(proposals) or ["proposal_boxes", "objectness_logits"]
    boxes = [x.gt_boxes if isinstance(x, Instances) else x for x in gt]
    fields: dict[str, Sequence[Any]] = {"proposal_boxes": boxes}
    if "objectness_logits" in names:
        counts = [len(x) for x in boxes]
        logits = torch.full((sum(counts),), GT_LOGIT, device=boxes[0].device if boxes else None)
        fields["objectness_logits"] = logits.split(counts)
    for name in names:
        if name not in fields:
            fields[name] = [known_of_truth(x, name, i) for i, x in enumerate(gt)]
    truth = [
        Instances(x.image_size, **{name: fields[name][i] for name in names if fields[name][i] is not None})
        for i, x in enumerate(proposals)
    ]
    return append_instances(proposals, truth)


def known_of_truth(gt: Instances | Boxes, name: str, image: int) -> Any:
    """Return a field of the ground truth that the proposals have too; None where there are no objects.

    Raises:
        ValueError: the ground truth has objects without this field.
    """
    if isinstance(gt, Instances) and gt.has(name):
        return gt.get(name)
    if not len(gt):
        return None
    have = ", ".join(gt.get_fields()) if isinstance(gt, Instances) else "boxes only"
    raise ValueError(
        f"the proposals have the field {name!r}, and the ground truth of image {image}, which is added to "
        f"them, has not (it has {have}). Give the ground truth this field, remove it from the proposals, or "
        "set model.roi_heads.proposal_append_gt=False"
    )
