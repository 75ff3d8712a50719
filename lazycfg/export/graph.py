"""A whole detector as a function of one tensor: every shape is fixed, and what is missing is padding.

The model's own parts do the work. Only what reads numbers on the host at inference, the selection of boxes,
is done here with masks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lazycfg.layers import batched_nms
from lazycfg.modeling.meta_arch.dense_detector import DenseDetector
from lazycfg.modeling.postprocessing import nonempty, scale_and_clip
from lazycfg.modeling.proposal_generator.proposal_utils import image_bounds, rank_proposals
from lazycfg.modeling.roi_heads.detections import CANDIDATES, CANDIDATES_PER_DETECTION, Candidates
from lazycfg.modeling.roi_heads.standard import pool_branch
from lazycfg.structures import Boxes, ImageList, Instances

__all__ = ["DetectorGraph", "Limits", "Suppress", "graph_of", "keep_of_groups"]

Suppress = Callable[[Tensor, Tensor, Tensor, int, float], Tensor]
"""NMS within groups, as `keep_of_groups`."""


def keep_of_groups(boxes: Tensor, rank: Tensor, groups: Tensor, num_groups: int, threshold: float) -> Tensor:
    """Return (B, C) bool, the boxes that NMS within the groups of each image keeps.

    Args:
        boxes: (B, C, 4) XYXY; those without area overlap nothing.
        rank: (B, C) int64, the higher the better.
        groups: (B, C) int64, from 0 to `num_groups` - 1.
        num_groups: such as the number of classes.
        threshold: boxes overlapping by more than this are suppressed.
    """
    images = torch.arange(len(boxes), device=boxes.device)[:, None]
    flat = (images * num_groups + groups).reshape(-1)
    keep = batched_nms(boxes.reshape(-1, 4), rank.reshape(-1), flat, threshold)
    kept = torch.zeros(rank.numel(), dtype=torch.bool, device=boxes.device)
    return kept.index_fill(0, keep, True).view(rank.shape)


@dataclass(frozen=True)
class Limits:
    """What decides about the detections of an image.

    Attributes:
        num_classes: of the model.
        score_thresh: detections score more than this.
        nms_thresh: overlap above which the worse of two boxes of a class goes.
        max_detections: of an image.
    """

    num_classes: int
    score_thresh: float
    nms_thresh: float
    max_detections: int


class DetectorGraph(nn.Module):
    """A detector from a batch of images of one size to padded tensors.

    Args:
        model: in evaluation mode.
        size: (height, width) of the images, in pixels.
        batch: number of images.
        candidates: the best so many boxes of an image go into NMS; by default ten for each detection, at
            least 1,000.
        suppress: does NMS.
    """

    def __init__(
        self,
        model: Any,
        size: tuple[int, int],
        batch: int,
        candidates: int | None = None,
        suppress: Suppress = keep_of_groups,
    ) -> None:
        super().__init__()
        self.model = model
        self.sizes = [size] * batch
        self.suppress = suppress
        limits = self.limits()
        self.candidates = candidates or max(CANDIDATES, CANDIDATES_PER_DETECTION * limits.max_detections)

    def limits(self) -> Limits:
        """Return what decides about the detections of an image.

        Raises:
            NotImplementedError: a subclass has to do this.
        """
        raise NotImplementedError

    def detect(self, images: ImageList) -> dict[str, Tensor]:
        """Return the detections of a batch (N, C, H, W) of normalised images.

        Raises:
            NotImplementedError: a subclass has to do this.
        """
        raise NotImplementedError

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Detect objects in images (N, C, H, W) of the values and the channel order that the model takes.

        Returns:
            ``boxes`` (N, D, 4) XYXY in pixels of the images, ``scores`` (N, D), ``classes`` (N, D) int64,
            best first, and what else the model predicts of each; zeros, and the class -1, after the
            ``count`` (N,) int64 of each image. ``truncated`` (N,) bool is true where boxes that scored enough
            were left out because there were more than `candidates`.
        """
        mean, std = self.model.pixel_mean, self.model.pixel_std
        backbone = self.model.backbone
        padded = ImageList.padded_size(self.sizes, backbone.size_divisibility, backbone.padding_constraints)
        height, width = self.sizes[0]
        tensor = (images.to(mean.dtype) - mean) / std
        if padded != (height, width):
            tensor = F.pad(tensor, (0, padded[1] - width, 0, padded[0] - height))
        return self.detect(ImageList(tensor, self.sizes))

    def select(self, table: Tensor, total: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Return the detections among the best candidates, and (N, D) bool, which rows there are.

        Args:
            table: (N, C, 7) of XYXY, score (-1 for none), class and row, best first.
            total: (N,) candidates of each image, whether they are in the table or not.
        """
        limits = self.limits()
        there = table[..., 4] >= 0
        boxes = torch.where(there.unsqueeze(-1), table[..., :4], 0.0)
        classes = table[..., 5].long()
        falling = torch.arange(table.shape[1], 0, -1, device=table.device).expand(table.shape[:2])
        kept = self.suppress(boxes, falling, classes, limits.num_classes, limits.nms_thresh) & there
        index, valid = first_of(kept, min(limits.max_detections, table.shape[1]))
        full = valid.sum(dim=1) >= limits.max_detections
        truncated = (total > table.shape[1]) & ~full
        # As `postprocess_batch`: what has no area is left out, with nothing in its place
        bounds = image_bounds(self.sizes, boxes.device)[:, None, :2].expand(-1, index.shape[1], -1)
        found = take(boxes, index).flatten(0, 1)
        found = scale_and_clip(found, torch.ones_like(found[:, :2]), bounds.flatten(0, 1))
        valid = valid & nonempty(found).view(index.shape)
        again, valid = first_of(valid, index.shape[1])
        boxes = take(found.view(*index.shape, 4), again)
        index = index.gather(1, again)
        outputs = {
            "boxes": torch.where(valid.unsqueeze(-1), boxes, 0.0),
            "scores": torch.where(valid, table[..., 4].gather(1, index), 0.0),
            "classes": torch.where(valid, classes.gather(1, index), -1),
            "count": valid.sum(dim=1),
            "truncated": truncated,
        }
        return outputs, valid


class DenseGraph(DetectorGraph):
    """`DetectorGraph` of RetinaNet and FCOS."""

    model: Any

    def limits(self) -> Limits:
        """Return what decides about the detections of an image."""
        model = self.model
        return Limits(
            model.num_classes, model.test_score_thresh, model.test_nms_thresh, model.max_detections_per_image
        )

    def detect(self, images: ImageList) -> dict[str, Tensor]:
        """Return the detections of a batch (N, C, H, W) of normalised images."""
        features = self.model.backbone(images.tensor)
        maps = [features[name] for name in self.model.head_in_features]
        scores, deltas = self.model.score_places(self.model.head(maps))
        anchors = torch.cat([level.tensor for level in self.model.anchor_generator(maps)])
        candidates = self.model.candidates(anchors, scores, deltas, images.image_sizes)
        return self.select(candidates.table(self.candidates), candidates.total)[0]


class RCNNGraph(DetectorGraph):
    """`DetectorGraph` of two-stage detectors."""

    model: Any

    def limits(self) -> Limits:
        """Return what decides about the detections of an image."""
        predictor = last_predictor(self.model)
        return Limits(
            predictor.num_classes,
            predictor.test_score_thresh,
            predictor.test_nms_thresh,
            predictor.test_topk_per_image,
        )

    def propose(self, features: dict[str, Tensor]) -> tuple[list[Instances], Tensor]:
        """Return the proposals of each image, all of one number, and (N, P) bool, which of them there are."""
        rpn = self.model.proposal_generator
        boxes, logits, level_sizes = rpn.best_of_levels(*rpn.predict_anchors(features))
        boxes, _, rank, _ = rank_proposals(boxes, logits, self.sizes, rpn.min_box_size)
        parts = [torch.full((size,), i, device=boxes.device) for i, size in enumerate(level_sizes)]
        levels = torch.cat(parts).expand_as(rank)
        keep = self.suppress(boxes, rank, levels, len(level_sizes), rpn.nms_thresh)
        top, index = (rank * keep).topk(min(rank.shape[1], rpn.post_nms_topk[False]), dim=1)
        valid = top > 0
        chosen = torch.where(valid.unsqueeze(-1), take(boxes, index), 0.0)
        pairs = zip(self.sizes, chosen.unbind(), strict=True)
        return [Instances(size, proposal_boxes=Boxes(x)) for size, x in pairs], valid

    def detect(self, images: ImageList) -> dict[str, Tensor]:
        """Return the detections of a batch (N, C, H, W) of normalised images."""
        features = self.model.backbone(images.tensor)
        proposals, there = self.propose(features)
        heads = self.model.roi_heads
        predictor, predictions, proposals = heads.predict_regions(features, proposals)
        boxes, probs = predictor.boxes_and_probs(predictions, proposals)
        candidates = Candidates(
            torch.stack(list(boxes)),
            torch.stack(list(probs)),
            there,
            self.sizes,
            predictor.test_score_thresh,
            predictor.box_dim,
        )
        outputs, valid = self.select(candidates.table(self.candidates), candidates.total)
        instances = [
            Instances(size, pred_boxes=Boxes(boxes), pred_classes=classes.clamp(min=0))
            for size, boxes, classes in zip(self.sizes, outputs["boxes"], outputs["classes"], strict=True)
        ]
        filled = self.branches(features, instances)
        if heads.mask_on:
            masks = torch.stack([x.pred_masks for x in filled]).squeeze(2)
            outputs["masks"] = torch.where(valid[..., None, None], masks, 0.0)
        if keypoint_on(heads):
            heatmaps = torch.stack([x.pred_keypoint_heatmaps for x in filled])
            outputs["heatmaps"] = torch.where(valid[..., None, None, None], heatmaps, 0.0)
        return outputs

    def branches(self, features: dict[str, Tensor], instances: list[Instances]) -> Any:
        """Return the instances with ``pred_masks`` and ``pred_keypoint_heatmaps``, as the model has them."""
        heads = self.model.roi_heads
        if not keypoint_on(heads):
            return heads.forward_with_given_boxes(features, instances)
        # The maps are not resized to their boxes, which have no fixed shape
        x = pool_branch(features, heads.keypoint_in_features, heads.keypoint_pooler, instances, False)
        maps = heads.keypoint_head.layers(x).split([len(x) for x in instances])
        for of_image, heatmaps in zip(instances, maps, strict=True):
            of_image.set("pred_keypoint_heatmaps", heatmaps)
        return heads._forward_mask(features, instances)


def keypoint_on(heads: Any) -> bool:
    """Return whether the heads predict keypoints."""
    return getattr(heads, "keypoint_on", False)


def last_predictor(model: Any) -> Any:
    """Return the box predictor of a two-stage detector, of a cascade that of the last stage."""
    predictor = model.roi_heads.box_predictor
    return predictor[-1] if isinstance(predictor, nn.ModuleList) else predictor


def graph_of(model: nn.Module) -> type[DetectorGraph]:
    """Return the kind of graph that is made of a model."""
    return DenseGraph if isinstance(model, DenseDetector) else RCNNGraph


def first_of(there: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Return (N, number) int64, where the first true values of (N, C) bool are, and which of these there
    are.
    """
    falling = torch.arange(there.shape[1], 0, -1, device=there.device)
    top, index = (falling * there).topk(number, dim=1)
    return index, top > 0


def take(rows: Tensor, index: Tensor) -> Tensor:
    """Return rows (N, C, K) at an index (N, D): (N, D, K)."""
    return rows.gather(1, index.unsqueeze(-1).expand(-1, -1, rows.shape[-1]))
