"""Losses of the coarse segmentation: by annotated masks of parts, or by masks of whole objects."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lazycfg.layers import cross_entropy
from lazycfg.modeling.batched_instances import cat_field
from lazycfg.modeling.roi_heads.mask_head import mask_targets
from lazycfg.structures import Instances

from ...structures.annotations import DensePoseDataRelative
from .packing import annotations_of, pack_masks

__all__ = ["MaskLoss", "MaskOrSegmentationLoss", "SegmentationLoss", "resample_masks"]

NUM_COARSE_LABELS = 15


class SegmentationLoss:
    """Cross-entropy with the annotated coarse segmentation, resampled to the boxes of the proposals.

    Args:
        n_segm_chan: channels predicted; with 2 all parts are one class.
        heatmap_size: side of the predicted maps.
    """

    def __init__(self, *, n_segm_chan: int = 2, heatmap_size: int = 112) -> None:
        self.n_segm_chan = n_segm_chan
        self.heatmap_size = heatmap_size

    def __call__(
        self,
        proposals_with_gt: Sequence[Instances],
        densepose_predictor_outputs: Any,
        annotations: Sequence[DensePoseDataRelative | None] | None = None,
    ) -> Tensor:
        """Return the mean over the pixels of the proposals with annotated masks; 0 without any.

        Args:
            proposals_with_gt: per image, with ``proposal_boxes``, ``gt_boxes``, ``gt_densepose``; R in all.
            densepose_predictor_outputs: with ``coarse_segm`` (R, n_segm_chan, S, S) logits.
            annotations: those of the proposals, if they are known already.
        """
        logits = densepose_predictor_outputs.coarse_segm
        annotations = annotations_of(proposals_with_gt) if annotations is None else annotations
        num_labels = NUM_COARSE_LABELS if self.n_segm_chan == 2 else self.n_segm_chan
        packed = pack_masks(annotations, num_labels, logits.device)
        if not len(packed.pairs):
            return logits[:0].sum()
        gt_boxes, boxes = (
            cat_field(proposals_with_gt, name).detach()[packed.pairs]
            for name in ("gt_boxes", "proposal_boxes")
        )
        masks = packed.masks.float()[packed.indices]
        labels = resample_masks(masks, gt_boxes, boxes, (self.heatmap_size, self.heatmap_size)).long()
        if self.n_segm_chan == 2:
            labels = (labels > 0).long()
        return F.cross_entropy(logits[packed.pairs].float(), labels)


@torch.no_grad()
def resample_masks(masks: Tensor, boxes: Tensor, new_boxes: Tensor, size: Sequence[int]) -> Tensor:
    """Read masks over boxes at the places of a grid over other boxes; outside they are 0.

    The corners of a mask are the centres of its first and last pixels, and cell k of a grid of n is at k / n
    of the new box, not at its centre: so do the published models see them.

    Args:
        masks: (R, H, W) float.
        boxes: (R, 4) XYXY, what the masks cover.
        new_boxes: (R, 4) XYXY, in the same pixels.
        size: (height, width) of the result.

    Returns:
        (R, height, width), the nearest values.
    """
    boxes, new_boxes = boxes.float(), new_boxes.float()
    start, extent = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
    first = 2 * (new_boxes[:, :2] - start) / extent - 1
    last = 2 * (new_boxes[:, 2:] - start) / extent - 1
    axes = []
    for axis, count in ((0, size[1]), (1, size[0])):
        steps = torch.arange(count, device=masks.device, dtype=torch.float32) / count
        axes.append(steps * (last - first)[:, axis, None] + first[:, axis, None])
    x, y = axes
    grid = torch.stack((x[:, None].expand(-1, size[0], -1), y[:, :, None].expand(-1, -1, size[1])), dim=3)
    return F.grid_sample(masks[:, None], grid, mode="nearest", padding_mode="zeros", align_corners=True)[:, 0]


class MaskLoss:
    """Cross-entropy with the masks of whole objects, of which there are more than DensePose annotations."""

    def __call__(self, proposals_with_gt: Sequence[Instances], densepose_predictor_outputs: Any) -> Tensor:
        """Return the mean over all pixels of all proposals; 0 without any.

        Args:
            proposals_with_gt: per image, with ``proposal_boxes`` and ``gt_masks``; R in all.
            densepose_predictor_outputs: with ``coarse_segm`` (R, 2, S, S) logits.

        Raises:
            ValueError: an image has proposals but no masks.
        """
        logits = densepose_predictor_outputs.coarse_segm
        if not len(logits):
            return logits.sum()
        for x in proposals_with_gt:
            if len(x) and not x.has("gt_masks"):
                raise ValueError(
                    "DensePose: the coarse segmentation is trained by masks, but the ground truth has none "
                    f"(fields: {sorted(x.get_fields())}). Let the mapper read them "
                    "(dataloader.train.mapper.use_instance_mask=true), or train it by DensePose annotations "
                    "(model.roi_heads.densepose_losses.segm_trained_by_masks=false)"
                )
        labels = mask_targets(proposals_with_gt, logits.shape[3])
        return cross_entropy(logits.float(), labels.long())


class MaskOrSegmentationLoss:
    """One of the two.

    Args:
        segm_trained_by_masks: by masks of whole objects, not by annotated parts.
        n_segm_chan, heatmap_size: see `SegmentationLoss`.
    """

    def __init__(
        self, *, segm_trained_by_masks: bool = False, n_segm_chan: int = 2, heatmap_size: int = 112
    ) -> None:
        self.segm_trained_by_masks = segm_trained_by_masks
        self.heatmap_size = heatmap_size
        self.mask_loss = MaskLoss()
        self.segm_loss = SegmentationLoss(n_segm_chan=n_segm_chan, heatmap_size=heatmap_size)

    def __call__(
        self,
        proposals_with_gt: Sequence[Instances],
        densepose_predictor_outputs: Any,
        annotations: Sequence[DensePoseDataRelative | None] | None = None,
    ) -> Tensor:
        """See `SegmentationLoss` and `MaskLoss`.

        Raises:
            ValueError: the maps are not of the size, or a mask is missing or wrong.
        """
        shape = densepose_predictor_outputs.coarse_segm.shape[2:]
        if tuple(shape) != (self.heatmap_size, self.heatmap_size):
            raise ValueError(
                f"DensePose: the predicted maps are of {tuple(shape)}, the losses are for "
                f"heatmap_size={self.heatmap_size}: model.roi_heads.densepose_losses.heatmap_size={shape[0]}"
            )
        if self.segm_trained_by_masks:
            return self.mask_loss(proposals_with_gt, densepose_predictor_outputs)
        return self.segm_loss(proposals_with_gt, densepose_predictor_outputs, annotations)
