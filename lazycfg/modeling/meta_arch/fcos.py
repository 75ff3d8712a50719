"""FCOS (Tian et al., arXiv:1904.01355)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lazycfg.structures import ImageList, Instances, pairwise_point_box_distance
from lazycfg.utils.events import get_event_storage

from ..anchor_generator import AnchorGenerator, DefaultAnchorGenerator
from ..backbone import Backbone
from ..box_regression import Box2BoxTransformLinear, dense_box_regression_loss
from ..data_needs import DataNeeds
from ..ground_truth import GroundTruth
from .dense_detector import DenseDetector, dense_predictions, stack_images
from .focal_loss import dense_focal_loss
from .retinanet_head import FCOSHead

__all__ = ["FCOS", "FCOSHead"]

# Places times objects looked at together when matching: 256 MiB for their four distances in float32.
CHUNK_ENTRIES = 1 << 24


class FCOS(DenseDetector):
    """A one-stage detector that predicts a box from every pixel, without anchors of several shapes.

    A pixel is thought of as a box of the size of the level's stride.

    Args:
        backbone: a built backbone.
        head: as `FCOSHead`.
        head_in_features: names of the maps the head gets.
        box2box_transform: codec of the boxes; distances in units of the stride by default.
        num_classes: foreground classes.
        center_sampling_radius: only pixels closer to an object's centre than this, in strides, are trained to
            detect it.
        focal_loss_alpha, focal_loss_gamma: see `dense_focal_loss`.
        test_score_thresh: detections score more than this; a score is the geometric mean of the probability
            of the class and of centerness.
        test_topk_candidates: candidates of each level that go into NMS.
        test_nms_thresh: overlap above which the worse of two boxes of a class goes.
        max_detections_per_image: detections of an image in all.
        clip_before_nms: clip the boxes to the image before NMS, as torchvision does, instead of at the end.
        anchor_generator: of the places, one square of the size of the stride for each pixel; by default
            around the centres of the pixels.
        pixel_mean, pixel_std, input_format: as for `GeneralizedRCNN`.
    """

    def __init__(
        self,
        *,
        backbone: Backbone,
        head: nn.Module,
        head_in_features: Sequence[str] | None = None,
        box2box_transform: Box2BoxTransformLinear | None = None,
        num_classes: int,
        center_sampling_radius: float = 1.5,
        focal_loss_alpha: float = 0.25,
        focal_loss_gamma: float = 2.0,
        test_score_thresh: float = 0.2,
        test_topk_candidates: int = 1000,
        test_nms_thresh: float = 0.6,
        max_detections_per_image: int = 100,
        clip_before_nms: bool = False,
        anchor_generator: AnchorGenerator | None = None,
        pixel_mean: Sequence[float],
        pixel_std: Sequence[float],
        input_format: str | None = None,
    ) -> None:
        super().__init__(
            backbone=backbone,
            head=head,
            head_in_features=head_in_features,
            pixel_mean=pixel_mean,
            pixel_std=pixel_std,
            input_format=input_format,
            initial_normalizer=300.0,
        )
        self.num_classes = num_classes
        shapes = backbone.output_shape()
        strides = [shapes[name].stride for name in self.head_in_features]
        self.anchor_generator = anchor_generator or DefaultAnchorGenerator(
            sizes=[[stride] for stride in strides], aspect_ratios=[1.0], strides=strides
        )
        self.box2box_transform = box2box_transform or Box2BoxTransformLinear(normalize_by_size=True)
        self.center_sampling_radius = float(center_sampling_radius)
        self.focal_loss_alpha = focal_loss_alpha
        self.focal_loss_gamma = focal_loss_gamma
        self.test_score_thresh = test_score_thresh
        self.test_topk_candidates = test_topk_candidates
        self.test_nms_thresh = test_nms_thresh
        self.max_detections_per_image = max_detections_per_image
        self.clip_before_nms = clip_before_nms

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
        """Return the losses of classes, boxes and centerness by name; arguments of shapes as in
        `DenseDetector`.
        """
        levels_of_anchors = self.anchor_generator(features)
        counts = [len(level) for level in levels_of_anchors]
        anchors = torch.cat([level.tensor for level in levels_of_anchors])
        logits, deltas, centerness = (
            torch.cat(dense_predictions(levels, dim), dim=1)
            for levels, dim in zip(predictions, (self.num_classes, 4, 1), strict=True)
        )
        gt_labels, gt_boxes = self.label_anchors(anchors, counts, gt_instances)
        return self.losses(anchors, logits, gt_labels, deltas, gt_boxes, centerness.squeeze(-1))

    @torch.no_grad()
    def label_anchors(
        self, anchors: Tensor, counts: Sequence[int], gt_instances: Sequence[Instances]
    ) -> tuple[Tensor, Tensor]:
        """Give every place an object of its image, or none.

        Args:
            anchors: (A, 4) XYXY; counts: of each level.

        Returns:
            labels (B, A) int64 (`num_classes` for no object) and the boxes of the objects (B, A, 4), of no
            meaning where there is none.
        """
        gt = GroundTruth(gt_instances, anchors.device)
        batch, most = gt.valid.shape
        quality = anchors.new_zeros((batch, len(anchors)))
        matches = torch.zeros((batch, len(anchors)), dtype=torch.int64, device=anchors.device)
        step = max(1, CHUNK_ENTRIES // max(1, batch * len(anchors)))
        for start in range(0, most, step):
            part = slice(start, start + step)
            found = self.match_quality(anchors, counts, gt.boxes[:, part])
            best, index = found.masked_fill(~gt.valid[:, None, part], 0.0).max(dim=-1)
            better = best > quality
            quality = torch.where(better, best, quality)
            matches = torch.where(better, index + start, matches)
        if most == 0:
            return torch.full_like(matches, self.num_classes), anchors.new_zeros((*matches.shape, 4))
        labels = gt.classes.gather(1, matches).masked_fill(quality < 1e-5, self.num_classes)
        return labels, gt.boxes.gather(1, matches.unsqueeze(-1).expand(-1, -1, 4))

    def match_quality(self, anchors: Tensor, counts: Sequence[int], gt_boxes: Tensor) -> Tensor:
        """Return how well each object suits each place: 0 for not at all, else higher for smaller objects.

        Args:
            anchors: (A, 4); counts: of each level; gt_boxes: (B, M, 4).

        Returns:
            (B, A, M). A place must lie in the object, near its centre, and be of a level that is responsible
            for objects of this size.
        """
        centers = (anchors[:, :2] + anchors[:, 2:]) / 2
        size = anchors[:, 2] - anchors[:, 0]
        finest = torch.arange(len(anchors), device=anchors.device) < counts[0]
        coarsest = torch.arange(len(anchors), device=anchors.device) >= len(anchors) - counts[-1]
        lower = (size * 4).masked_fill(finest, 0.0)[:, None]
        upper = (size * 8).masked_fill(coarsest, float("inf"))[:, None]

        gt_centers = (gt_boxes[..., :2] + gt_boxes[..., 2:]) / 2
        off_center = (centers[:, None] - gt_centers[:, None]).abs().amax(dim=-1)
        near = off_center < self.center_sampling_radius * size[:, None]
        distances = pairwise_point_box_distance(centers, gt_boxes)
        inside = distances.amin(dim=-1) > 0
        farthest = distances.amax(dim=-1)
        suits = near & inside & (farthest > lower) & (farthest < upper)
        wh = gt_boxes[..., 2:] - gt_boxes[..., :2]
        area = wh[..., 0] * wh[..., 1]
        return suits * (1e8 - area)[:, None]

    def losses(
        self,
        anchors: Tensor,
        logits: Tensor,
        gt_labels: Tensor,
        deltas: Tensor,
        gt_boxes: Tensor,
        centerness: Tensor,
    ) -> dict[str, Tensor]:
        """Losses divided by a moving average of the number of positive places.

        Args:
            anchors: (A, 4); logits: (B, A, K); deltas: (B, A, 4); centerness: logits (B, A).
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
            anchors, self.box2box_transform, deltas, gt_boxes, positive, box_reg_loss_type="giou"
        )
        targets = self.compute_ctrness_targets(
            anchors, torch.where(positive.unsqueeze(-1), gt_boxes, anchors)
        )
        loss_ctr = F.binary_cross_entropy_with_logits(centerness.float(), targets, reduction="none")
        loss_ctr = torch.where(positive, loss_ctr, 0.0).sum()
        return {
            "loss_fcos_cls": loss_cls / normalizer,
            "loss_fcos_loc": loss_box_reg / normalizer,
            "loss_fcos_ctr": loss_ctr / normalizer,
        }

    def compute_ctrness_targets(self, anchors: Tensor, gt_boxes: Tensor) -> Tensor:
        """Return (B, A) in [0, 1]: 1 where a place is the centre of its box, falling to 0 at the edges.

        Args:
            anchors: (A, 4); gt_boxes: (B, A, 4), each with its place inside.
        """
        distances = self.box2box_transform.get_deltas(anchors, gt_boxes)
        pairs = distances.unflatten(-1, (2, 2))  # (left, top), (right, bottom)
        ratios = pairs.amin(dim=-2) / pairs.amax(dim=-2)
        return ratios.prod(dim=-1).sqrt()

    def forward_inference(
        self, images: ImageList, features: Sequence[Tensor], predictions: Sequence[Sequence[Tensor]]
    ) -> list[Instances]:
        """Return the detections of each image; arguments of shapes as in `DenseDetector`."""
        scores, deltas = self.score_places(predictions)
        return self.detect_images(self.anchor_generator(features), scores, deltas, images.image_sizes)

    def score_places(self, predictions: Sequence[Sequence[Tensor]]) -> tuple[list[Tensor], list[Tensor]]:
        """Return per level the scores (N, A_l, K) and offsets (N, A_l, 4), see `DenseDetector`."""
        logits, deltas, centerness = (
            dense_predictions(levels, dim)
            for levels, dim in zip(predictions, (self.num_classes, 4, 1), strict=True)
        )
        scores = [
            (x.float().sigmoid() * y.float().sigmoid()).sqrt()
            for x, y in zip(logits, centerness, strict=True)
        ]
        return scores, deltas
