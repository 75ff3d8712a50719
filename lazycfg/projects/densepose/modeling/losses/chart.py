"""Losses of parts and chart coordinates (arXiv:1802.00434)."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lazycfg.modeling.batched_instances import cat_field
from lazycfg.structures import Instances

from .packing import PackedPoints, annotations_of, on_host, pack_points
from .sampling import PointSampler
from .segm import MaskOrSegmentationLoss

__all__ = ["DensePoseChartLoss"]


class DensePoseChartLoss:
    """Coordinates and parts at annotated points, and the coarse segmentation over the whole box.

    Args:
        heatmap_size: side of the predicted maps.
        w_points: factor of the loss of the coordinates, which is a sum over points.
        w_part: factor of the loss of the parts.
        w_segm: factor of the loss of the coarse segmentation.
        n_segm_chan: channels of the coarse segmentation, see `SegmentationLoss`.
        segm_trained_by_masks: train it by masks of whole objects, see `MaskLoss`.
    """

    def __init__(
        self,
        *,
        heatmap_size: int = 112,
        w_points: float = 0.01,
        w_part: float = 1.0,
        w_segm: float = 5.0,
        n_segm_chan: int = 2,
        segm_trained_by_masks: bool = False,
    ) -> None:
        self.heatmap_size = heatmap_size
        self.w_points = w_points
        self.w_part = w_part
        self.w_segm = w_segm
        self.n_segm_chan = n_segm_chan
        self.segm_trained_by_masks = segm_trained_by_masks
        self.segm_loss = MaskOrSegmentationLoss(
            segm_trained_by_masks=segm_trained_by_masks,
            n_segm_chan=n_segm_chan,
            heatmap_size=heatmap_size,
        )

    def __call__(
        self, proposals_with_gt: Sequence[Instances], densepose_predictor_outputs: Any
    ) -> dict[str, Tensor]:
        """Return the losses by name. All are 0, but part of the graph, where no point of a part is covered
        by its proposal; with `segm_trained_by_masks` that of the coarse segmentation does not need points.

        Args:
            proposals_with_gt: per image, with ``proposal_boxes``, ``gt_boxes``, ``gt_densepose`` (which an
                image may lack) and for `segm_trained_by_masks` ``gt_masks``; R in all.
            densepose_predictor_outputs: maps of the R proposals, see `DensePoseChartPredictorOutput`.

        Raises:
            ValueError: an annotation does not fit the model.
        """
        out = densepose_predictor_outputs
        annotations = annotations_of(proposals_with_gt)
        if len(annotations) != len(out):
            raise ValueError(f"DensePose: outputs of {len(out)} objects for {len(annotations)} proposals")
        check_parts(annotations, out.fine_segm.shape[1])
        points = pack_points(annotations, ("x", "y", "i", "u", "v"), out.u.device)
        parts = points["i"].long()
        sampler = self._sampler(points, proposals_with_gt, out)
        counted = sampler.valid & (parts > 0)
        any_counted = counted.any()
        losses = self.uv_losses(out, sampler, parts, points["u"], points["v"], counted)
        of_parts = F.cross_entropy(sampler.channels(out.fine_segm), parts, reduction="none")
        total = torch.where(sampler.valid & any_counted, of_parts, 0.0).sum()
        losses["loss_densepose_I"] = total / sampler.valid.sum().clamp(min=1) * self.w_part
        segm = self.segm_loss(proposals_with_gt, out, annotations) * self.w_segm
        losses["loss_densepose_S"] = segm if self.segm_trained_by_masks else segm * any_counted
        return losses

    def uv_losses(
        self, out: Any, sampler: PointSampler, parts: Tensor, u: Tensor, v: Tensor, counted: Tensor
    ) -> dict[str, Tensor]:
        """Return the losses of the coordinates by name.

        Args:
            out: the predictor's outputs.
            sampler: reads them at the points.
            parts: (P,) int64, the part that each point is on.
            u, v: (P,), where it is in the chart of the part.
            counted: (P,) bool, the points that count.
        """
        losses = {}
        for name, truth in (("u", u), ("v", v)):
            wrong = F.smooth_l1_loss(sampler.channel(getattr(out, name), parts), truth, reduction="none")
            losses[f"loss_densepose_{name.upper()}"] = torch.where(counted, wrong, 0.0).sum() * self.w_points
        return losses

    @staticmethod
    def _sampler(points: PackedPoints, proposals: Sequence[Instances], out: Any) -> PointSampler:
        if not len(points):
            boxes = gt_boxes = points.pairs.new_zeros((0, 4), dtype=torch.float32)
        else:
            gt_boxes, boxes = (cat_field(proposals, name) for name in ("gt_boxes", "proposal_boxes"))
        return PointSampler(points.pairs, points["x"], points["y"], gt_boxes, boxes, out.u.shape[2:])


@torch.compiler.disable
def check_parts(annotations: Sequence[Any], num_channels: int) -> None:
    """Raise ValueError if a point is on a part that the model has no channel for."""
    seen: set[int] = set()
    for data in annotations:
        if data is None or id(data) in seen or data.i is None or not len(data.i):
            continue
        seen.add(id(data))
        parts = on_host(data.i)
        low, high = int(parts.min()), int(parts.max())
        if low < 0 or high >= num_channels:
            raise ValueError(
                f"DensePose: an annotation has points on parts {low} to {high} (dp_I), the model knows parts "
                f"1 to {num_channels - 1}: model.roi_heads.densepose_predictor.num_patches"
            )
