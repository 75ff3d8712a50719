"""The heads of a detector of rotated boxes."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from lazycfg.layers import pairwise_iou_rotated

from ..padded import GroundTruth, ImageSizes
from .detections import Detections, fast_rcnn_inference
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
    *,
    valid: Tensor | None = None,
) -> tuple[Detections, list[Tensor]]:
    """`fast_rcnn_inference` of rotated boxes: per image (R_i, K * 5) or (R_i, 5)."""
    return fast_rcnn_inference(
        boxes, scores, image_shapes, score_thresh, nms_thresh, topk_per_image, valid=valid, box_dim=5
    )


class RotatedFastRCNNOutputLayers(FastRCNNOutputLayers):
    """`FastRCNNOutputLayers` of rotated boxes: five offsets of each class, by a `Box2BoxTransformRotated`.

    Only ``box_reg_loss_type="smooth_l1"`` means something here.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.box_dim != 5:
            codec = type(self.box2box_transform).__name__
            raise ValueError(f"{type(self).__name__} needs a Box2BoxTransformRotated, got {codec}")


class RROIHeads(StandardROIHeads):
    """`StandardROIHeads` of rotated boxes: proposals are matched by their rotated overlap.

    There is a box branch only; its pooler is of the type "ROIAlignRotated".
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.mask_on or self.keypoint_on:
            raise ValueError("RROIHeads have no mask and keypoint branches")
        if self.train_on_pred_boxes:
            raise ValueError("RROIHeads: train_on_pred_boxes is for masks and keypoints, which they have not")

    def match(self, boxes: Tensor, gt: GroundTruth) -> tuple[Tensor, Tensor]:
        return self.proposal_matcher.match_boxes(gt.boxes, gt.valid, boxes, pairwise_iou_rotated)
