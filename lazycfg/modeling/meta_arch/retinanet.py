"""RetinaNet (Lin et al., arXiv:1708.02002)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lazycfg.structures import ImageList, Instances
from lazycfg.utils.events import get_event_storage

from ..anchor_generator import DefaultAnchorGenerator
from ..backbone import Backbone
from ..box_regression import BoxCodec, check_box_reg_loss_type, dense_box_regression_loss
from ..data_needs import DataNeeds
from ..ground_truth import GroundTruth
from ..matcher import Matcher
from .dense_detector import DenseDetector, dense_predictions, stack_images
from .focal_loss import dense_focal_loss
from .retinanet_head import RetinaNetHead

__all__ = ["RetinaNet", "RetinaNetHead"]


class RetinaNet(DenseDetector):
    """A one-stage detector on anchors, trained with the focal loss.

    Args:
        backbone: a built backbone.
        head: as `RetinaNetHead`.
        head_in_features: names of the maps the head gets.
        anchor_generator: as `DefaultAnchorGenerator`.
        box2box_transform: codec of the offsets.
        anchor_matcher: labels anchors by their IoU with the ground truth; 0 background, -1 not trained.
        num_classes: foreground classes.
        focal_loss_alpha, focal_loss_gamma: see `dense_focal_loss`.
        smooth_l1_beta, box_reg_loss_type: see `dense_box_regression_loss`.
        test_score_thresh: detections score more than this.
        test_topk_candidates: candidates of each level that go into NMS.
        test_nms_thresh: overlap above which the worse of two boxes of a class goes.
        max_detections_per_image: detections of an image in all.
        clip_before_nms: clip the boxes to the image before NMS, as torchvision does, instead of at the end.
        pixel_mean, pixel_std, input_format: as for `GeneralizedRCNN`.
        vis_period: accepted for the reference's sake; images are drawn from outside.
    """

    def __init__(
        self,
        *,
        backbone: Backbone,
        head: nn.Module,
        head_in_features: Sequence[str] | None = None,
        anchor_generator: DefaultAnchorGenerator,
        box2box_transform: BoxCodec,
        anchor_matcher: Matcher,
        num_classes: int,
        focal_loss_alpha: float = 0.25,
        focal_loss_gamma: float = 2.0,
        smooth_l1_beta: float = 0.0,
        box_reg_loss_type: str = "smooth_l1",
        test_score_thresh: float = 0.05,
        test_topk_candidates: int = 1000,
        test_nms_thresh: float = 0.5,
        max_detections_per_image: int = 100,
        clip_before_nms: bool = False,
        pixel_mean: Sequence[float],
        pixel_std: Sequence[float],
        vis_period: int = 0,
        input_format: str | None = "BGR",
    ) -> None:
        super().__init__(
            backbone=backbone,
            head=head,
            head_in_features=head_in_features,
            pixel_mean=pixel_mean,
            pixel_std=pixel_std,
            input_format=input_format,
            initial_normalizer=100.0,
        )
        check_box_reg_loss_type(box_reg_loss_type)
        self.num_classes = num_classes
        self.anchor_generator = anchor_generator
        self.box2box_transform = box2box_transform
        self.anchor_matcher = anchor_matcher
        self.focal_loss_alpha = focal_loss_alpha
        self.focal_loss_gamma = focal_loss_gamma
        self.smooth_l1_beta = smooth_l1_beta
        self.box_reg_loss_type = box_reg_loss_type
        self.test_score_thresh = test_score_thresh
        self.test_topk_candidates = test_topk_candidates
        self.test_nms_thresh = test_nms_thresh
        self.max_detections_per_image = max_detections_per_image
        self.clip_before_nms = clip_before_nms
        self.vis_period = vis_period

    def data_needs(self) -> DataNeeds:
        """Return what this part needs of the data."""
        return DataNeeds(thing_classes=self.num_classes, input_format=self.input_format)

    def forward_training(
        self,
        images: ImageList,
        features: Sequence[Tensor],
        predictions: Sequence[Sequence[Tensor]],
        gt_instances: Sequence[Instances],
    ) -> dict[str, Tensor]:
        """Return the losses of classes and boxes by name; arguments of shapes as in `DenseDetector`."""
        anchors = torch.cat([level.tensor for level in self.anchor_generator(features)])
        logits = torch.cat(dense_predictions(predictions[0], self.num_classes), dim=1)
        deltas = torch.cat(dense_predictions(predictions[1], 4), dim=1)
        gt_labels, gt_boxes = self.label_anchors(anchors, gt_instances)
        return self.losses(anchors, logits, gt_labels, deltas, gt_boxes)

    @torch.no_grad()
    def label_anchors(self, anchors: Tensor, gt_instances: Sequence[Instances]) -> tuple[Tensor, Tensor]:
        """Match anchors (A, 4) to the ground truth of each image.

        Returns:
            labels (B, A) int64 (`num_classes` for background, -1 for not trained) and the matched boxes
            (B, A, 4), of no meaning where there is no object.
        """
        gt = GroundTruth(gt_instances, anchors.device)
        matches, match_labels = self.anchor_matcher.match_boxes(gt.boxes, gt.valid, anchors)
        if gt.boxes.shape[1] == 0:
            labels = torch.full(matches.shape, self.num_classes, dtype=torch.int64, device=anchors.device)
            return labels, anchors.new_zeros((*matches.shape, 4))
        labels = gt.classes.gather(1, matches)
        labels = labels.masked_fill(match_labels == 0, self.num_classes).masked_fill(match_labels == -1, -1)
        # Where an image has no objects nothing is ignored either, whatever the matcher calls quality 0
        labels = labels.masked_fill(~gt.valid.any(dim=1, keepdim=True), self.num_classes)
        return labels, gt.boxes.gather(1, matches.unsqueeze(-1).expand(-1, -1, 4))

    def losses(
        self, anchors: Tensor, logits: Tensor, gt_labels: Tensor, deltas: Tensor, gt_boxes: Tensor
    ) -> dict[str, Tensor]:
        """Losses divided by a moving average of the number of positive anchors.

        Args:
            anchors: (A, 4); logits: (B, A, K); deltas: (B, A, 4).
            gt_labels, gt_boxes: as `label_anchors` gives them.
        """
        gt_labels, gt_boxes = stack_images(gt_labels), stack_images(gt_boxes)
        positive = (gt_labels >= 0) & (gt_labels != self.num_classes)
        count = positive.sum()
        get_event_storage().put_scalar("num_pos_anchors", count / len(gt_labels))
        normalizer = self.update_normalizer(count)
        loss_cls = dense_focal_loss(
            logits, gt_labels, alpha=self.focal_loss_alpha, gamma=self.focal_loss_gamma
        )
        loss_box_reg = dense_box_regression_loss(
            anchors,
            self.box2box_transform,
            deltas,
            gt_boxes,
            positive,
            box_reg_loss_type=self.box_reg_loss_type,
            smooth_l1_beta=self.smooth_l1_beta,
        )
        return {"loss_cls": loss_cls / normalizer, "loss_box_reg": loss_box_reg / normalizer}

    def forward_inference(
        self, images: ImageList, features: Sequence[Tensor], predictions: Sequence[Sequence[Tensor]]
    ) -> list[Instances]:
        """Return the detections of each image; arguments of shapes as in `DenseDetector`."""
        scores, deltas = self.score_places(predictions)
        return self.detect_images(self.anchor_generator(features), scores, deltas, images.image_sizes)

    def score_places(self, predictions: Sequence[Sequence[Tensor]]) -> tuple[list[Tensor], list[Tensor]]:
        """Return per level the scores (N, A_l, K) and offsets (N, A_l, 4), see `DenseDetector`."""
        scores = [x.float().sigmoid() for x in dense_predictions(predictions[0], self.num_classes)]
        return scores, dense_predictions(predictions[1], 4)
