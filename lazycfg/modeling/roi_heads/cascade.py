"""Cascade R-CNN (arXiv:1712.00726): box heads in a row, each trained on the boxes of the one before."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lazycfg.structures import Boxes, ImageList, Instances
from lazycfg.utils.events import get_event_storage

from ..batched_instances import cat_field, split_instances
from ..feature_maps import select_maps
from ..ground_truth import GroundTruth
from ..matcher import Matcher
from ..padding import pad_rows, rows_of_images, unpad_rows
from ..proposal_generator.proposal_utils import image_bounds
from ..protocols import BoxHead, BoxPredictor, RegionPooler
from .fast_rcnn import IGNORED, MeanOfStages
from .standard import StandardROIHeads

__all__ = ["CascadeROIHeads"]


class ScaleGradient(torch.autograd.Function):
    """The identity, whose gradient is multiplied by a number."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float) -> Tensor:
        """Return a tensor (...,) as it is, and keep the scale for its gradient."""
        ctx.scale = scale
        return x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """Return the gradient (...,) times the scale."""
        return grad * ctx.scale, None


class CascadeROIHeads(StandardROIHeads):
    """`StandardROIHeads` with several stages of boxes; masks and keypoints are those of one stage.

    Args:
        box_in_features, box_pooler: as for `StandardROIHeads`; the pooler serves all stages.
        box_heads, box_predictors, proposal_matchers: one for each stage.
        kwargs: the other arguments of `StandardROIHeads`.
    """

    def __init__(
        self,
        *,
        box_in_features: Sequence[str],
        box_pooler: RegionPooler,
        box_heads: Sequence[BoxHead],
        box_predictors: Sequence[BoxPredictor],
        proposal_matchers: Sequence[Matcher],
        **kwargs: Any,
    ) -> None:
        if "proposal_matcher" in kwargs:
            raise TypeError(
                "CascadeROIHeads takes proposal_matchers, one for each stage, not proposal_matcher"
            )
        if not len(box_heads) == len(box_predictors) == len(proposal_matchers):
            raise ValueError(
                f"CascadeROIHeads: {len(box_heads)} box_heads, {len(box_predictors)} box_predictors and "
                f"{len(proposal_matchers)} proposal_matchers must be as many"
            )
        super().__init__(
            box_in_features=box_in_features,
            box_pooler=box_pooler,
            box_head=nn.ModuleList(box_heads),
            box_predictor=nn.ModuleList(box_predictors),
            proposal_matcher=proposal_matchers[0],
            **kwargs,
        )
        self.num_cascade_stages = len(box_heads)
        self.proposal_matchers = list(proposal_matchers)

    def forward(
        self,
        images: ImageList,
        features: Mapping[str, Tensor],
        proposals: Sequence[Instances],
        targets: Sequence[Instances] | None = None,
    ) -> tuple[list[Instances], dict[str, Tensor]]:
        """Sample proposals and compute losses of all stages in training, else detect objects; see
        `ROIHeads.forward`.

        Maps are (N, C, H, W).

        Raises:
            ValueError: there are no targets in training.
        """
        if not self.training:
            instances = self._forward_box(features, proposals)
            return self.forward_with_given_boxes(features, instances), {}
        if targets is None:
            raise ValueError("CascadeROIHeads in training needs targets (is 'instances' in the inputs?)")
        proposals = self.label_and_sample_proposals(proposals, targets)
        losses = self._forward_box(features, proposals, targets)
        losses.update(self._forward_mask(features, proposals))
        losses.update(self._forward_keypoint(features, proposals))
        return proposals, losses

    def _forward_box(
        self,
        features: Mapping[str, Tensor],
        proposals: Sequence[Instances],
        targets: Sequence[Instances] | None = None,
    ) -> Any:
        """Losses of all stages in training (with `targets`), detections at inference."""
        if not self.training:
            predictor, predictions, proposals = self.predict_regions(features, proposals)
            return predictor.inference(predictions, proposals)[0]
        if targets is None:
            raise ValueError("CascadeROIHeads._forward_box in training needs targets")
        return self.stage_losses(self._run_stages(features, proposals, targets))

    def _run_stages(
        self,
        features: Mapping[str, Tensor],
        proposals: Sequence[Instances],
        targets: Sequence[Instances] | None = None,
    ) -> list[tuple[BoxPredictor, Any, Sequence[Instances]]]:
        """Return of each stage its box predictor, what that predicts, and the proposals it is given."""
        maps = select_maps(features, self.box_in_features, "box_in_features")
        sizes = [x.image_size for x in proposals]
        outputs: list[tuple[BoxPredictor, Any, Sequence[Instances]]] = []
        for stage, predictor in enumerate(self.box_predictor):
            if stage > 0:
                predictor_before, predictions, before = outputs[-1]
                boxes = predictor_before.predict_boxes(predictions, before)
                proposals = self._create_proposals_from_boxes(boxes, sizes)
                check_rows(proposals, before, stage)
                if self.training:
                    keep_empty(proposals, before)
                    proposals = self._match_and_label_boxes(proposals, stage, targets)
            outputs.append((predictor, self._run_stage(maps, proposals, stage), proposals))
        return outputs

    def predict_regions(
        self, features: Mapping[str, Tensor], proposals: Sequence[Instances]
    ) -> tuple[BoxPredictor, Any, Sequence[Instances]]:
        """Return the last stage's predictor, its boxes with scores that are the mean over the stages, and the
        proposals of the last stage; as `StandardROIHeads.predict_regions`.
        """
        outputs = self._run_stages(features, proposals)
        scores = [
            torch.cat(list(predictor.predict_probs(predictions, of_stage)))
            for predictor, predictions, of_stage in outputs
        ]
        predictor, predictions, proposals = outputs[-1]
        mean = torch.stack(scores).mean(dim=0).split([len(x) for x in proposals])
        return predictor, MeanOfStages(predictions, mean), proposals

    def _run_stage(self, maps: Sequence[Tensor], proposals: Sequence[Instances], stage: int) -> Any:
        """Return the predictions of a stage: what its box predictor returns."""
        pooled = self.box_pooler(maps, [x.proposal_boxes for x in proposals])
        # The stages share the gradient that reaches the maps: else it would be that of several detectors.
        pooled = ScaleGradient.apply(pooled, 1.0 / self.num_cascade_stages)
        return self.box_predictor[stage](self.box_head[stage](pooled))

    @torch.compiler.disable
    def _create_proposals_from_boxes(
        self, boxes: Sequence[Tensor], image_sizes: Sequence[tuple[int, int]]
    ) -> list[Instances]:
        """Return the boxes of a stage as proposals of the next, without gradient, clipped to the images.

        Every box stays a row, so that nothing waits for their number. In training an empty one becomes a box
        of one pixel, and the field ``is_empty`` (N_i,) bool says so: it has no part in the losses.

        Args:
            boxes: per image (N_i, 4) XYXY.
        """
        counts = [len(b) for b in boxes]
        rows = torch.cat(list(boxes)).detach()
        bounds = image_bounds(image_sizes, rows.device)
        rows = torch.minimum(rows.clamp(min=0), rows_of_images(bounds, counts))
        fields = {"proposal_boxes": rows}
        if self.training:
            empty = (rows[:, 2:] <= rows[:, :2]).any(dim=1)
            pixel = (torch.arange(4, device=rows.device) >= 2).to(rows.dtype)
            fields = {"proposal_boxes": torch.where(empty[:, None], pixel, rows), "is_empty": empty}
        return split_instances(image_sizes, counts, fields)

    @torch.compiler.disable
    @torch.no_grad()
    def _match_and_label_boxes(
        self, proposals: Sequence[Instances], stage: int, targets: Sequence[Instances]
    ) -> Sequence[Instances]:
        """Give the proposals ``gt_classes`` and ``gt_boxes`` by the matcher of the stage.

        Args:
            proposals: per image, with ``proposal_boxes``; those whose ``is_empty`` is true become `IGNORED`.
            stage: from 1.
            targets: per image the ground truth.

        Returns:
            The same proposals.
        """
        counts = [len(x) for x in proposals]
        rows = cat_field(proposals, "proposal_boxes")
        gt = GroundTruth(targets, rows.device)
        boxes, valid = pad_rows(rows, counts)
        matches, labels = self.proposal_matchers[stage].match_boxes(gt.boxes, gt.valid, boxes)
        if gt.boxes.shape[1] == 0:
            classes = torch.full_like(matches, self.num_classes)
            gt_boxes = torch.zeros_like(boxes)
        else:
            classes = gt.classes.gather(1, matches).masked_fill(labels == 0, self.num_classes)
            classes = classes.masked_fill(~gt.valid.any(dim=1, keepdim=True), self.num_classes)
            gt_boxes = gt.boxes.gather(1, matches.unsqueeze(-1).expand_as(boxes)).to(boxes.dtype)
        if all(x.has("is_empty") for x in proposals):
            empty, _ = pad_rows(cat_field(proposals, "is_empty"), counts)
            classes = classes.masked_fill(empty, IGNORED)
        classes_of = unpad_rows(classes, counts).split(counts)
        boxes_of = unpad_rows(gt_boxes, counts).split(counts)
        for x, of_classes, of_boxes in zip(proposals, classes_of, boxes_of, strict=True):
            x.gt_classes = of_classes
            x.gt_boxes = Boxes(of_boxes)
        storage = get_event_storage()
        background = ((classes == self.num_classes) & valid).sum() / len(proposals)
        counted = ((classes != IGNORED) & valid).sum() / len(proposals)
        storage.put_scalar(f"stage{stage}/roi_head/num_fg_samples", counted - background)
        storage.put_scalar(f"stage{stage}/roi_head/num_bg_samples", background)
        return proposals

    @staticmethod
    def stage_losses(outputs: Sequence[tuple[BoxPredictor, Any, Sequence[Instances]]]) -> dict[str, Tensor]:
        """Return the losses of all stages, each of shape (), with "_stage0" and so on at the end of their
        names.
        """
        losses = {}
        storage = get_event_storage()
        for stage, (predictor, predictions, proposals) in enumerate(outputs):
            with storage.name_scope(f"stage{stage}"):
                of_stage = predictor.losses(predictions, proposals)
            losses.update({f"{name}_stage{stage}": loss for name, loss in of_stage.items()})
        return losses


def check_rows(proposals: Sequence[Instances], before: Sequence[Instances], stage: int) -> None:
    """Raise ValueError where a stage was not given as many proposals of an image as the one before."""
    for i, (x, y) in enumerate(zip(proposals, before, strict=True)):
        if len(x) != len(y):
            raise ValueError(
                f"stage {stage} of the cascade was given {len(x)} proposals of image {i}, the stage before "
                f"had {len(y)}. Each stage refines the boxes of the one before, row by row: to leave a row "
                f"out of the losses set its gt_classes to {IGNORED}"
            )


def keep_empty(proposals: Sequence[Instances], before: Sequence[Instances]) -> None:
    """Mark as empty also what was empty in the stage before."""
    if all(x.has("is_empty") for x in (*proposals, *before)):
        empty = cat_field(proposals, "is_empty") | cat_field(before, "is_empty")
        for x, own in zip(proposals, empty.split([len(x) for x in proposals]), strict=True):
            x.is_empty = own
