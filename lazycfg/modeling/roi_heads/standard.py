"""The heads of Faster, Mask and Keypoint R-CNN."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from lazycfg.structures import ImageList, Instances

from ..feature_maps import select_maps
from ..matcher import Matcher
from ..protocols import BoxHead, BoxPredictor, MaskHead, RegionPooler
from .base import ROIHeads
from .sampled import select_foreground_proposals, select_foreground_with_visible_keypoints

__all__ = ["StandardROIHeads"]


class StandardROIHeads(ROIHeads):
    """Separate branches for boxes, masks and keypoints on the same feature maps.

    A branch without its head (or without its maps) is left out: ``mask_head=None`` makes a box detector.

    Args:
        box_in_features: names of the maps the boxes are pooled from.
        box_pooler: as `ROIPooler`; box_head: as `FastRCNNConvFCHead`.
        box_predictor: as `FastRCNNOutputLayers`.
        mask_in_features, mask_pooler, mask_head: likewise for masks; without a pooler the head is given the
            maps themselves.
        keypoint_in_features, keypoint_pooler, keypoint_head: likewise for keypoints.
        train_on_pred_boxes: train masks and keypoints on the boxes predicted, not on the proposals.
        The others are those of `ROIHeads`.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        batch_size_per_image: int,
        positive_fraction: float,
        proposal_matcher: Matcher,
        box_in_features: Sequence[str],
        box_pooler: RegionPooler,
        box_head: BoxHead,
        box_predictor: BoxPredictor,
        mask_in_features: Sequence[str] | None = None,
        mask_pooler: RegionPooler | None = None,
        mask_head: MaskHead | None = None,
        keypoint_in_features: Sequence[str] | None = None,
        keypoint_pooler: RegionPooler | None = None,
        keypoint_head: MaskHead | None = None,
        train_on_pred_boxes: bool = False,
        proposal_append_gt: bool = True,
    ) -> None:
        super().__init__(
            num_classes=num_classes,
            batch_size_per_image=batch_size_per_image,
            positive_fraction=positive_fraction,
            proposal_matcher=proposal_matcher,
            proposal_append_gt=proposal_append_gt,
        )
        self.box_in_features = self.in_features = list(box_in_features)
        self.box_pooler = box_pooler
        self.box_head = box_head
        self.box_predictor = box_predictor
        self.mask_on = mask_head is not None and mask_in_features is not None
        if self.mask_on:
            self.mask_in_features = list(mask_in_features)
            self.mask_pooler = mask_pooler
            self.mask_head = mask_head
        self.keypoint_on = keypoint_head is not None and keypoint_in_features is not None
        if self.keypoint_on:
            self.keypoint_in_features = list(keypoint_in_features)
            self.keypoint_pooler = keypoint_pooler
            self.keypoint_head = keypoint_head
        self.train_on_pred_boxes = train_on_pred_boxes

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
            instances = self._forward_box(features, proposals)
            # Masks and keypoints are of the boxes predicted, which are fewer and better.
            return self.forward_with_given_boxes(features, instances), {}
        if targets is None:
            raise ValueError(
                f"{type(self).__name__} in training needs targets (is 'instances' in the inputs?)"
            )
        proposals = self.label_and_sample_proposals(proposals, targets)
        losses = self._forward_box(features, proposals)
        losses.update(self._forward_mask(features, proposals))
        losses.update(self._forward_keypoint(features, proposals))
        return proposals, losses

    def forward_with_given_boxes(
        self, features: Mapping[str, Tensor], instances: Sequence[Instances]
    ) -> Sequence[Instances]:
        """Predict masks and keypoints of instances with ``pred_boxes`` and ``pred_classes``, from maps (N, C,
        H, W).

        Raises:
            RuntimeError: the model is in training mode.
        """
        if self.training:
            raise RuntimeError("forward_with_given_boxes is for inference: call model.eval() first")
        instances = self._forward_mask(features, instances)
        return self._forward_keypoint(features, instances)

    def _forward_box(self, features: Mapping[str, Tensor], proposals: Sequence[Instances]) -> Any:
        """Losses in training, detections at inference."""
        predictor, predictions, proposals = self.predict_regions(features, proposals)
        if not self.training:
            return predictor.inference(predictions, proposals)[0]
        losses = predictor.losses(predictions, proposals)
        if self.train_on_pred_boxes:
            with torch.no_grad():
                boxes = predictor.predict_boxes_for_gt_classes(predictions, proposals)
                for x, of_image in zip(proposals, boxes, strict=True):
                    x.proposal_boxes = type(x.proposal_boxes)(of_image)
        return losses

    def predict_regions(
        self, features: Mapping[str, Tensor], proposals: Sequence[Instances]
    ) -> tuple[BoxPredictor, Any, Sequence[Instances]]:
        """Return what a box predictor says of the proposals: the predictor, its predictions, and the
        proposals that they are of. Maps are (N, C, H, W).
        """
        maps = select_maps(features, self.box_in_features, "box_in_features")
        pooled = self.box_pooler(maps, [x.proposal_boxes for x in proposals])
        return self.box_predictor, self.box_predictor(self.box_head(pooled)), proposals

    def _forward_mask(self, features: Mapping[str, Tensor], instances: Sequence[Instances]) -> Any:
        """Losses in training; at inference the instances with ``pred_masks``."""
        if not self.mask_on:
            return {} if self.training else instances
        if self.training:
            instances, _ = select_foreground_proposals(instances, self.num_classes)
        x = pool_branch(features, self.mask_in_features, self.mask_pooler, instances, self.training)
        return self.mask_head(x, instances)

    def _forward_keypoint(self, features: Mapping[str, Tensor], instances: Sequence[Instances]) -> Any:
        """Losses in training; at inference the instances with ``pred_keypoints``."""
        if not self.keypoint_on:
            return {} if self.training else instances
        if self.training:
            instances = select_foreground_with_visible_keypoints(instances, self.num_classes)
        x = pool_branch(features, self.keypoint_in_features, self.keypoint_pooler, instances, self.training)
        return self.keypoint_head(x, instances)


def pool_branch(
    features: Mapping[str, Tensor],
    in_features: Sequence[str],
    pooler: RegionPooler | None,
    instances: Sequence[Instances],
    training: bool,
) -> Any:
    """Return what a branch's head is given: pooled regions (R, C, height, width), or the maps by name where
    there is no pooler.
    """
    maps = select_maps(features, in_features, "in_features of this branch")
    if pooler is None:
        return dict(zip(in_features, maps, strict=True))
    boxes = [x.proposal_boxes if training else x.pred_boxes for x in instances]
    return pooler(maps, boxes)
