"""The heads of a detector of rotated boxes."""

from collections.abc import Sequence

from torch import Tensor

from lazycfg.layers import pairwise_iou_rotated
from lazycfg.structures import Instances

from ..batched_instances import ImageSizes
from ..ground_truth import GroundTruth
from ..matcher import Matcher
from ..protocols import BoxHead, BoxPredictor, RegionPooler
from .detections import fast_rcnn_inference
from .fast_rcnn import FastRCNNOutputLayers
from .standard import StandardROIHeads

__all__ = ["RROIHeads", "RotatedFastRCNNOutputLayers", "fast_rcnn_inference_rotated"]


def fast_rcnn_inference_rotated(
    boxes: Sequence[Tensor],
    scores: Sequence[Tensor],
    image_shapes: ImageSizes,
    score_thresh: float,
    nms_thresh: float,
    topk_per_image: int,
) -> tuple[list[Instances], list[Tensor]]:
    """Apply `fast_rcnn_inference` to rotated boxes: per image (R_i, K * 5) or (R_i, 5)."""
    return fast_rcnn_inference(
        boxes, scores, image_shapes, score_thresh, nms_thresh, topk_per_image, box_dim=5
    )


class RotatedFastRCNNOutputLayers(FastRCNNOutputLayers):
    """`FastRCNNOutputLayers` of rotated boxes: with a `Box2BoxTransformRotated` there are five offsets for
    each class. Only ``box_reg_loss_type="smooth_l1"`` means something here.
    """


class RROIHeads(StandardROIHeads):
    """`StandardROIHeads` of rotated boxes: proposals are matched by their rotated overlap.

    There is a box branch only.

    Args:
        box_in_features: names of the maps the boxes are pooled from.
        box_pooler: as `ROIPooler` of the type "ROIAlignRotated"; box_head: as `FastRCNNConvFCHead`.
        box_predictor: as `RotatedFastRCNNOutputLayers`.
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
        proposal_append_gt: bool = True,
    ) -> None:
        super().__init__(
            num_classes=num_classes,
            batch_size_per_image=batch_size_per_image,
            positive_fraction=positive_fraction,
            proposal_matcher=proposal_matcher,
            box_in_features=box_in_features,
            box_pooler=box_pooler,
            box_head=box_head,
            box_predictor=box_predictor,
            proposal_append_gt=proposal_append_gt,
        )

    def match(self, boxes: Tensor, gt: GroundTruth) -> tuple[Tensor, Tensor]:
        """Return (N, R) matches and labels of rotated boxes (N, R, 5), as `ROIHeads.match` does of upright
        ones.
        """
        return self.proposal_matcher.match_boxes(gt.boxes, gt.valid, boxes, pairwise_iou_rotated)
