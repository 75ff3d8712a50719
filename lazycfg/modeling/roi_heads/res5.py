"""The heads of the "C4" models: the last stage of ResNet runs on every region (Mask R-CNN, figure 4 left)."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lazycfg.structures import ImageList, Instances

from ..feature_maps import select_maps
from ..matcher import Matcher
from ..protocols import BoxPredictor, MaskHead, RegionPooler
from .base import ROIHeads
from .sampled import select_foreground_proposals

__all__ = ["Res5ROIHeads"]


class Res5ROIHeads(ROIHeads):
    """Boxes and masks from the same features of a region, which the res5 stage computes.

    Args:
        in_features: name of the one map to pool from.
        pooler: as `ROIPooler`.
        res5: a module, or the blocks of the stage.
        box_predictor: as `FastRCNNOutputLayers`; it is given the mean over each region.
        mask_head: as `MaskRCNNConvUpsampleHead`; None for boxes only.
        The others are those of `ROIHeads`.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        batch_size_per_image: int,
        positive_fraction: float,
        proposal_matcher: Matcher,
        in_features: Sequence[str],
        pooler: RegionPooler,
        res5: nn.Module | Sequence[nn.Module],
        box_predictor: BoxPredictor,
        mask_head: MaskHead | None = None,
        proposal_append_gt: bool = True,
    ) -> None:
        super().__init__(
            num_classes=num_classes,
            batch_size_per_image=batch_size_per_image,
            positive_fraction=positive_fraction,
            proposal_matcher=proposal_matcher,
            proposal_append_gt=proposal_append_gt,
        )
        if len(in_features) != 1:
            raise ValueError(f"Res5ROIHeads pools from one map, got in_features={list(in_features)}")
        self.in_features = list(in_features)
        self.pooler = pooler
        self.res5 = res5 if isinstance(res5, nn.Module) else nn.Sequential(*res5)
        self.box_predictor = box_predictor
        self.mask_on = mask_head is not None
        if mask_head is not None:
            self.mask_head = mask_head

    def forward(
        self,
        images: ImageList,
        features: Mapping[str, Tensor],
        proposals: Sequence[Instances],
        targets: Sequence[Instances] | None = None,
    ) -> tuple[list[Instances], dict[str, Tensor]]:
        """Sample proposals and compute losses in training, else detect objects; see `ROIHeads.forward`.

        Maps are (N, C, H, W).

        Raises:
            ValueError: there are no targets in training.
        """
        if not self.training:
            predictor, predictions, proposals = self.predict_regions(features, proposals)
            instances, _ = predictor.inference(predictions, proposals)
            return self.forward_with_given_boxes(features, instances), {}
        if targets is None:
            raise ValueError("Res5ROIHeads in training needs targets (is 'instances' in the inputs?)")
        proposals = self.label_and_sample_proposals(proposals, targets)
        x = self._shared_roi_transform(features, [p.proposal_boxes for p in proposals])
        losses = self.box_predictor.losses(self._predict(x), proposals)
        if self.mask_on:
            foreground, masks = select_foreground_proposals(proposals, self.num_classes)
            # their number is known: no second wait for it
            number = sum(len(x) for x in foreground)
            chosen = torch.cat(masks).to(torch.int8).sort(descending=True, stable=True).indices[:number]
            losses.update(self.mask_head(x[chosen], foreground))
        return proposals, losses

    def forward_with_given_boxes(
        self, features: Mapping[str, Tensor], instances: Sequence[Instances]
    ) -> Sequence[Instances]:
        """Predict masks of instances with ``pred_boxes`` and ``pred_classes``, from maps (N, C, H, W).

        Raises:
            RuntimeError: the model is in training mode.
        """
        if self.training:
            raise RuntimeError("forward_with_given_boxes is for inference: call model.eval() first")
        if not self.mask_on:
            return instances
        x = self._shared_roi_transform(features, [i.pred_boxes for i in instances])
        return self.mask_head(x, instances)

    def predict_regions(
        self, features: Mapping[str, Tensor], proposals: Sequence[Instances]
    ) -> tuple[BoxPredictor, Any, Sequence[Instances]]:
        """Return the box predictor, what it says of the proposals, and these; as
        `StandardROIHeads.predict_regions`.
        """
        x = self._shared_roi_transform(features, [p.proposal_boxes for p in proposals])
        return self.box_predictor, self._predict(x), proposals

    def _shared_roi_transform(self, features: Mapping[str, Tensor], boxes: Sequence[Any]) -> Tensor:
        """Return features (R, C, H, W) of the regions of all images."""
        return self.res5(self.pooler(select_maps(features, self.in_features, "in_features"), boxes))

    def _predict(self, x: Tensor) -> Any:
        """Predictions of the boxes."""
        return self.box_predictor(x.mean(dim=(2, 3)))
