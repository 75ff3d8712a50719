from collections.abc import Sequence

import torch
from torch import Tensor

from lazycfg.structures import Instances
from lazycfg.utils.events import get_event_storage

from ..padded import cat_field
from .sampled import Foreground

__all__ = ["select_proposals_with_visible_keypoints"]


def select_proposals_with_visible_keypoints(proposals: Sequence[Instances]) -> list[Instances]:
    """Only the proposals with a visible keypoint of their object inside: the others have nothing to learn.

    Args:
        proposals: per image the foreground, with ``proposal_boxes`` and ``gt_keypoints``.

    Returns:
        The same without the others. Sampled proposals know it; for others the device is waited for once.
    """
    keep = getattr(proposals, "visible", None)
    filled = [x for x in proposals if len(x)]
    if keep is None:
        keep = []
        if filled:
            keypoints, boxes = cat_field(filled, "gt_keypoints"), cat_field(filled, "proposal_boxes")
            keep = has_visible_keypoint(keypoints, boxes).tolist()
    if filled:
        get_event_storage().put_scalar("keypoint_head/num_fg_samples", sum(keep) / len(filled))
    if not isinstance(proposals, Foreground):
        proposals = Foreground(proposals, index=range(len(keep)))
    return proposals.select(keep)


@torch.no_grad()
def has_visible_keypoint(keypoints: Tensor, boxes: Tensor) -> Tensor:
    """(R,) bool, of keypoints (R, K, 3) and boxes (R, 4) XYXY."""
    x, y, visibility = keypoints.unbind(dim=2)
    x0, y0, x1, y1 = boxes[:, None].unbind(dim=2)
    inside = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
    return (inside & (visibility >= 1)).any(dim=1)
