"""The sampled proposals that masks and keypoints are trained on."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lazycfg.structures import Instances
from lazycfg.utils.events import get_event_storage

from ..batched_instances import cat_field, select_rows

__all__ = [
    "select_foreground_proposals",
    "select_foreground_with_visible_keypoints",
    "select_proposals_with_visible_keypoints",
]


@torch.compiler.disable
def select_foreground_proposals(
    proposals: Sequence[Instances], bg_label: int
) -> tuple[list[Instances], list[Tensor]]:
    """Select the proposals that are matched to an object: those with a class. Waits for the device once.

    Args:
        proposals: per image, with ``gt_classes``.
        bg_label: the class of the background; negative classes are ignored too.

    Returns:
        The foreground of each image, and per image a (N_i,) bool mask of it.
    """
    if not len(proposals):
        return [], []
    counts = [len(x) for x in proposals]
    mask = is_foreground(proposals, bg_label)
    rows = [own.nonzero()[0] for own in to_host(mask, counts)]
    return select_rows(proposals, rows), list(mask.split(counts))


@torch.compiler.disable
def select_proposals_with_visible_keypoints(proposals: Sequence[Instances]) -> list[Instances]:
    """Select the proposals with a visible keypoint of their object inside: the others have nothing to learn.

    Waits for the device once.

    Args:
        proposals: per image the foreground, with ``proposal_boxes`` and ``gt_keypoints``.
    """
    counts = [len(x) for x in proposals]
    if sum(counts) == 0:
        log_keypoint_samples([])
        return list(proposals)
    check_keypoints(proposals, counts)
    visible = to_host(visible_keypoints(proposals), counts)
    log_keypoint_samples([int(own.sum()) for own, count in zip(visible, counts, strict=True) if count])
    return select_rows(proposals, [own.nonzero()[0] for own in visible])


@torch.compiler.disable
def select_foreground_with_visible_keypoints(
    proposals: Sequence[Instances], bg_label: int
) -> list[Instances]:
    """Do as `select_foreground_proposals` and `select_proposals_with_visible_keypoints`, one after the other,
    with one wait for the device.
    """
    counts = [len(x) for x in proposals]
    if sum(counts) == 0:
        log_keypoint_samples([])
        return list(proposals)
    foreground = is_foreground(proposals, bg_label)
    flags = to_host(torch.stack((foreground, foreground & visible_keypoints(proposals)), dim=1), counts)
    check_keypoints(proposals, [int(own[:, 0].sum()) for own in flags])
    log_keypoint_samples([int(own[:, 1].sum()) for own in flags if own[:, 0].any()])
    return select_rows(proposals, [own[:, 1].nonzero()[0] for own in flags])


def check_keypoints(proposals: Sequence[Instances], foreground: Sequence[int]) -> None:
    """Raise ValueError where an image has foreground (so many) but no keypoints."""
    for x, count in zip(proposals, foreground, strict=True):
        if count and not x.has("gt_keypoints"):
            raise ValueError(
                f"the keypoint head needs 'gt_keypoints' in the ground truth, which has "
                f"{sorted(x.get_fields())}. If the data has keypoints, let the mapper read them "
                "(dataloader.train.mapper.use_keypoint=True); if not, leave the keypoint head out "
                "(model.roi_heads.keypoint_head=None)"
            )


def is_foreground(proposals: Sequence[Instances], bg_label: int) -> Tensor:
    """Return (N,) bool of the proposals of all images."""
    classes = cat_field(proposals, "gt_classes")
    return (classes >= 0) & (classes != bg_label)


def visible_keypoints(proposals: Sequence[Instances]) -> Tensor:
    """(N,) bool of the proposals of all images: whether a visible keypoint of the object is inside.

    An image without objects may lack ``gt_keypoints``: nothing of it is visible.
    """
    boxes = cat_field(proposals, "proposal_boxes")
    annotated = [x.has("gt_keypoints") for x in proposals]
    if not any(annotated):
        return torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    found = has_visible_keypoint(
        cat_field([x for x, has in zip(proposals, annotated, strict=True) if has], "gt_keypoints"),
        cat_field([x for x, has in zip(proposals, annotated, strict=True) if has], "proposal_boxes"),
    )
    if all(annotated):
        return found
    parts = iter(found.split([len(x) for x, has in zip(proposals, annotated, strict=True) if has]))
    none = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device).split([len(x) for x in proposals])
    return torch.cat([next(parts) if has else own for has, own in zip(annotated, none, strict=True)])


def to_host(flags: Tensor, counts: Sequence[int]) -> list[np.ndarray]:
    """Flags (N, ...) of all images as one array for each image. Waits for the device."""
    return np.split(flags.cpu().numpy(), np.cumsum(counts)[:-1])


def log_keypoint_samples(counts: Sequence[int]) -> None:
    """Record how many proposals of an image the keypoint head is trained on; 0 where there are none."""
    mean = sum(counts) / len(counts) if counts else 0.0
    get_event_storage().put_scalar("keypoint_head/num_fg_samples", mean)


@torch.no_grad()
def has_visible_keypoint(keypoints: Tensor, boxes: Tensor) -> Tensor:
    """Return (R,) bool, for keypoints (R, K, 3) and boxes (R, 4) XYXY."""
    x, y, visibility = keypoints.unbind(dim=2)
    x0, y0, x1, y1 = boxes[:, None].unbind(dim=2)
    inside = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
    return (inside & (visibility >= 1)).any(dim=1)
