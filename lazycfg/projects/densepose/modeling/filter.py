"""Which of the sampled proposals DensePose is trained on."""

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lazycfg.modeling.batched_instances import cat_field, select_rows
from lazycfg.modeling.roi_heads.sampled import is_foreground, to_host
from lazycfg.structures import Instances
from lazycfg.utils.events import get_event_storage

__all__ = ["DensePoseDataFilter"]

NOT_ANNOTATED = (
    "DensePose: no image of a batch has gt_densepose, so that nothing is learned from its objects. If this "
    "is so for all: is dataloader.train.mapper a DensePoseMapper, and does the data set have annotations?"
)


class DensePoseDataFilter:
    """Keeps the proposals that overlap their object enough, and that have something to learn from.

    Args:
        iou_threshold: a proposal overlaps the box of its object more than this.
        keep_masks: whether proposals in images with masks are kept without a DensePose annotation.
    """

    def __init__(self, *, iou_threshold: float = 0.7, keep_masks: bool = False) -> None:
        self.iou_threshold = iou_threshold
        self.keep_masks = keep_masks

    @torch.compiler.disable
    @torch.no_grad()
    def __call__(self, proposals: Sequence[Instances], bg_label: int) -> list[Instances]:
        """Select proposals; an image may lose all of its, and stays in the list. Waits for the device once.
        Warns of a batch whose objects have no annotations at all.

        Args:
            proposals: per image, with ``gt_classes``, ``proposal_boxes``, and where the image has objects
                ``gt_boxes``.
            bg_label: the class of the background.
        """
        counts = [len(x) for x in proposals]
        useful = np.concatenate([self._useful(x) for x in proposals]) if proposals else np.zeros(0, bool)
        if not useful.any():
            if any(x.has("gt_boxes") for x in proposals) and not any(
                x.has("gt_densepose") for x in proposals
            ):
                warnings.warn(NOT_ANNOTATED, stacklevel=2)
            get_event_storage().put_scalar("densepose/num_fg_samples", 0.0)
            return select_rows(proposals, [np.zeros(0, dtype=np.int64)] * len(proposals))
        overlap = matched_iou(
            torch.cat([(x.gt_boxes if x.has("gt_boxes") else x.proposal_boxes).tensor for x in proposals]),
            cat_field(proposals, "proposal_boxes"),
        )
        flags = to_host(is_foreground(proposals, bg_label) & (overlap > self.iou_threshold), counts)
        parts = np.split(useful, np.cumsum(counts)[:-1])
        rows = [(near & own).nonzero()[0] for near, own in zip(flags, parts, strict=True)]
        mean = sum(len(own) for own in rows) / len(rows)
        get_event_storage().put_scalar("densepose/num_fg_samples", mean)
        return select_rows(proposals, rows)

    def _useful(self, x: Instances) -> np.ndarray:
        """Return (N,) bool: whether there is anything to learn from each proposal."""
        if self.keep_masks and x.has("gt_masks"):
            return np.ones(len(x), dtype=bool)
        if not x.has("gt_densepose"):
            return np.zeros(len(x), dtype=bool)
        return np.array([data is not None for data in x.gt_densepose], dtype=bool)


def matched_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Return (N,) the intersection over union of each box with the other one of its row, both (N, 4) XYXY."""
    size, other_size = (x[:, 2:] - x[:, :2] for x in (boxes, others))
    shared = torch.minimum(boxes[:, 2:], others[:, 2:]) - torch.maximum(boxes[:, :2], others[:, :2])
    intersection = shared.clamp(min=0).prod(dim=1)
    return intersection / (size.prod(dim=1) + other_size.prod(dim=1) - intersection)
