"""The region proposal network (Ren et al., arXiv:1506.01497)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lazycfg.structures import ImageList, Instances
from lazycfg.utils.events import get_event_storage

from ..box_regression import (
    Box2BoxTransformRotated,
    BoxCodec,
    check_box_reg_loss_type,
    dense_box_regression_loss,
)
from ..feature_maps import select_maps
from ..ground_truth import GroundTruth
from ..matcher import Matcher
from ..sampling import sample_labels
from .proposal_utils import image_bounds, select_by_nms
from .rpn_head import StandardRPNHead

__all__ = ["RPN", "AnchorSamples", "StandardRPNHead"]


@dataclass
class AnchorSamples:
    """The anchors that the losses look at.

    Attributes:
        index: (B, S) int64 into the A anchors of all levels.
        positive, negative: (B, S) bool; a row that is neither is padding.
        gt_boxes: (B, S, box_dim), the matched ground truth; meaningful where positive.
    """

    index: Tensor
    positive: Tensor
    negative: Tensor
    gt_boxes: Tensor


class RPN(nn.Module):
    """Proposes boxes: scores anchors as object or not, and moves them.

    Args:
        in_features: names of the maps to look at.
        head: maps -> logits and offsets per level, as `StandardRPNHead`.
        anchor_generator: as `DefaultAnchorGenerator`.
        anchor_matcher: labels anchors by their IoU with the ground truth.
        box2box_transform: codec of the offsets.
        batch_size_per_image: anchors of an image that the losses look at.
        positive_fraction: at most this share of them is positive.
        pre_nms_topk: candidates of each level before NMS, (in training, at inference).
        post_nms_topk: proposals of each image after NMS, (in training, at inference).
        nms_thresh: of the NMS within each level.
        min_box_size: proposals have both sides longer than this, in pixels of the network's input.
        anchor_boundary_thresh: if not negative, anchors beyond the image by more pixels are not trained.
        loss_weight: one number, or by the names "loss_rpn_cls", "loss_rpn_loc".
        box_reg_loss_type: "smooth_l1", "giou", "diou" or "ciou"; smooth_l1_beta: 0 for L1.
    """

    def __init__(
        self,
        *,
        in_features: Sequence[str],
        head: nn.Module,
        anchor_generator: nn.Module,
        anchor_matcher: Matcher,
        box2box_transform: BoxCodec,
        batch_size_per_image: int,
        positive_fraction: float,
        pre_nms_topk: tuple[int, int],
        post_nms_topk: tuple[int, int],
        nms_thresh: float = 0.7,
        min_box_size: float = 0.0,
        anchor_boundary_thresh: float = -1.0,
        loss_weight: float | Mapping[str, float] = 1.0,
        box_reg_loss_type: str = "smooth_l1",
        smooth_l1_beta: float = 0.0,
    ) -> None:
        super().__init__()
        check_box_reg_loss_type(box_reg_loss_type, box2box_transform)
        if anchor_boundary_thresh >= 0 and isinstance(box2box_transform, Box2BoxTransformRotated):
            raise ValueError(f"anchor_boundary_thresh={anchor_boundary_thresh} is for upright anchors only")
        self.in_features = list(in_features)
        self.rpn_head = head
        self.anchor_generator = anchor_generator
        self.anchor_matcher = anchor_matcher
        self.box2box_transform = box2box_transform
        self.batch_size_per_image = batch_size_per_image
        self.positive_fraction = positive_fraction
        self.pre_nms_topk = {True: pre_nms_topk[0], False: pre_nms_topk[1]}
        self.post_nms_topk = {True: post_nms_topk[0], False: post_nms_topk[1]}
        self.nms_thresh = nms_thresh
        self.min_box_size = float(min_box_size)
        self.anchor_boundary_thresh = anchor_boundary_thresh
        if not isinstance(loss_weight, Mapping):
            loss_weight = {"loss_rpn_cls": loss_weight, "loss_rpn_loc": loss_weight}
        self.loss_weight = dict(loss_weight)
        self.box_reg_loss_type = box_reg_loss_type
        self.smooth_l1_beta = smooth_l1_beta

    def forward(
        self,
        images: ImageList,
        features: Mapping[str, Tensor],
        gt_instances: Sequence[Instances] | None = None,
    ) -> tuple[list[Instances], dict[str, Tensor]]:
        """Propose regions, and compute the losses in training.

        Args:
            images: what the maps were made of; only the sizes are used.
            features: maps by name, (N, C, H_i, W_i).
            gt_instances: per image, with ``gt_boxes``; needed in training.

        Returns:
            Per image `Instances` with ``proposal_boxes`` and ``objectness_logits``, best first, and the
            losses "loss_rpn_cls", "loss_rpn_loc" (none at inference).

        Raises:
            ValueError: there are no ``gt_instances`` in training.
        """
        anchors, counts, all_logits, all_deltas = self.predict_anchors(features)
        if self.training and gt_instances is None:
            raise ValueError("RPN in training needs gt_instances (is 'instances' in the inputs?)")
        truth = gt_instances if self.training else None
        proposals, samples = self.propose_and_sample(
            anchors, counts, all_logits, all_deltas, images.image_sizes, truth
        )
        if samples is None:
            return proposals, {}
        return proposals, self.losses(anchors, all_logits, all_deltas, samples)

    def predict_anchors(self, features: Mapping[str, Tensor]) -> tuple[Tensor, list[int], Tensor, Tensor]:
        """Return the anchors of maps (N, C, H_i, W_i), and what the head says of each.

        Returns:
            anchors (A, box_dim) of all levels, how many each level has, logits (N, A), and offsets
            (N, A, box_dim).
        """
        maps = select_maps(features, self.in_features, "in_features")
        levels = self.anchor_generator(maps)
        counts = [len(level) for level in levels]
        anchors = torch.cat([level.tensor for level in levels])
        logits, deltas = self.rpn_head(maps)
        box_dim = anchors.shape[-1]
        # (N, A, H, W) -> (N, H * W * A), and the offsets likewise
        logits = [x.permute(0, 2, 3, 1).flatten(1) for x in logits]
        deltas = [x.unflatten(1, (-1, box_dim)).permute(0, 3, 4, 1, 2).flatten(1, -2) for x in deltas]
        return anchors, counts, torch.cat(logits, dim=1), torch.cat(deltas, dim=1)

    @torch.compiler.disable
    def propose_and_sample(
        self,
        anchors: Tensor,
        counts: Sequence[int],
        logits: Tensor,
        deltas: Tensor,
        image_sizes: Sequence[tuple[int, int]],
        gt_instances: Sequence[Instances] | None,
    ) -> tuple[list[Instances], AnchorSamples | None]:
        """Call `predict_proposals` and, with ground truth, `label_and_sample_anchors`: one cut when compiled.

        Args:
            anchors: (A, box_dim) of all levels, in pixels.
            counts: number of anchors of each level.
            logits: (N, A) of all levels.
            deltas: (N, A, box_dim) of all levels.
            image_sizes: (height, width) of each image.
            gt_instances: the objects of each image, or None.
        """
        samples = None
        if gt_instances is not None:
            samples = self.label_and_sample_anchors(anchors, gt_instances, image_sizes)
        return self.predict_proposals(anchors, counts, logits, deltas, image_sizes), samples

    @torch.compiler.disable
    @torch.no_grad()
    def label_and_sample_anchors(
        self, anchors: Tensor, gt_instances: Sequence[Instances], image_sizes: Sequence[tuple[int, int]]
    ) -> AnchorSamples:
        """Match anchors (A, box_dim) to the ground truth of each image and draw the sample for the losses."""
        gt = GroundTruth(gt_instances, anchors.device, classes=False)
        matches, labels = self.match_anchors(anchors, gt)
        if self.anchor_boundary_thresh >= 0:
            inside = self.anchors_inside(anchors, image_bounds(image_sizes, anchors.device))
            labels = labels.masked_fill(~inside, -1)
        index, positive, negative = self._subsample_labels(labels)
        if gt.boxes.shape[1] == 0:
            gt_boxes = anchors.new_zeros((*index.shape, anchors.shape[-1]))
        else:
            matched = matches.gather(1, index).unsqueeze(-1).expand(-1, -1, anchors.shape[-1])
            gt_boxes = gt.boxes.gather(1, matched)
        return AnchorSamples(index, positive, negative, gt_boxes)

    def _subsample_labels(self, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Draw the anchors of each image that the losses look at.

        Args:
            labels: (B, A): 1 positive, 0 negative, -1 ignored.

        Returns:
            index (B, S) into the anchors; positive and negative (B, S) bool, which rows are of either kind.
        """
        return sample_labels(labels, self.batch_size_per_image, self.positive_fraction, bg_label=0)

    def match_anchors(self, anchors: Tensor, gt: GroundTruth) -> tuple[Tensor, Tensor]:
        """Matched ground truth and label of each anchor: two tensors (B, A)."""
        return self.anchor_matcher.match_boxes(gt.boxes, gt.valid, anchors)

    def anchors_inside(self, anchors: Tensor, bounds: Tensor) -> Tensor:
        """Return (B, A) bool: anchors within `anchor_boundary_thresh` pixels of images of these bounds (B,
        4).
        """
        low = (anchors[:, :2] >= -self.anchor_boundary_thresh).all(dim=-1)
        high = (anchors[:, 2:] < bounds[:, None, :2] + self.anchor_boundary_thresh).all(dim=-1)
        return low & high

    def losses(
        self, anchors: Tensor, logits: Tensor, deltas: Tensor, samples: AnchorSamples
    ) -> dict[str, Tensor]:
        """Losses over the sample, divided by ``batch_size_per_image * B`` whatever its size.

        Args:
            anchors: (A, box_dim); logits: (B, A); deltas: (B, A, box_dim).
        """
        batch = logits.shape[0]
        storage = get_event_storage()
        storage.put_scalar("rpn/num_pos_anchors", samples.positive.sum() / batch)
        storage.put_scalar("rpn/num_neg_anchors", samples.negative.sum() / batch)

        row = samples.index.unsqueeze(-1).expand(-1, -1, anchors.shape[-1])
        sampled_logits = logits.gather(1, samples.index).float()
        objectness = F.binary_cross_entropy_with_logits(
            sampled_logits, samples.positive.float(), reduction="none"
        )
        objectness = torch.where(samples.positive | samples.negative, objectness, 0.0).sum()
        localization = dense_box_regression_loss(
            anchors[samples.index],
            self.box2box_transform,
            deltas.gather(1, row),
            samples.gt_boxes,
            samples.positive,
            box_reg_loss_type=self.box_reg_loss_type,
            smooth_l1_beta=self.smooth_l1_beta,
        )
        normalizer = self.batch_size_per_image * batch
        losses = {"loss_rpn_cls": objectness / normalizer, "loss_rpn_loc": localization / normalizer}
        return {name: loss * self.loss_weight.get(name, 1.0) for name, loss in losses.items()}

    @torch.compiler.disable
    @torch.no_grad()
    def predict_proposals(
        self,
        anchors: Tensor,
        counts: Sequence[int],
        logits: Tensor,
        deltas: Tensor,
        image_sizes: Sequence[tuple[int, int]],
    ) -> list[Instances]:
        """Move the anchors of each level by the predicted offsets, and return the best ones after NMS.

        Args:
            anchors: (A, box_dim), of all levels; counts: anchors of each level.
            logits: (B, A); deltas: (B, A, box_dim).

        Returns:
            Per image `Instances` with ``proposal_boxes`` and ``objectness_logits``, best first.

        Raises:
            FloatingPointError: in training, a prediction is not finite.

        No gradient flows through the proposals: it is as in Faster R-CNN's approximate joint training.
        """
        return select_by_nms(
            *self.best_of_levels(anchors, counts, logits, deltas),
            image_sizes,
            nms_thresh=self.nms_thresh,
            post_nms_topk=self.post_nms_topk[self.training],
            min_box_size=self.min_box_size,
            check_finite=self.training,
        )

    def best_of_levels(
        self, anchors: Tensor, counts: Sequence[int], logits: Tensor, deltas: Tensor
    ) -> tuple[Tensor, Tensor, list[int]]:
        """Return the candidates that go into NMS, the best of each level; arguments as for
        `predict_proposals`.

        Returns:
            boxes (B, K, box_dim), not clipped, logits (B, K), and how many of the K are of each level.
        """
        scores, index, start = [], [], 0
        for part in logits.float().split(list(counts), dim=1):
            top, where = part.topk(min(part.shape[1], self.pre_nms_topk[self.training]), dim=1)
            scores.append(top)
            index.append(where + start)
            start += part.shape[1]
        rows = torch.cat(index, dim=1)
        chosen = deltas.gather(1, rows.unsqueeze(-1).expand(-1, -1, deltas.shape[-1]))
        boxes = self.box2box_transform.apply_deltas(chosen, anchors[rows])
        return boxes, torch.cat(scores, dim=1), [part.shape[1] for part in scores]
