"""The region proposal network for rotated boxes (Ma et al., arXiv:1703.01086)."""

from torch import Tensor

from lazycfg.layers import pairwise_iou_rotated

from ..ground_truth import GroundTruth
from .proposal_utils import find_top_rpn_proposals
from .rpn import RPN

__all__ = ["RRPN", "find_top_rrpn_proposals"]


find_top_rrpn_proposals = find_top_rpn_proposals
"""Boxes per level (B, N_i, 5). Of those that reach out of their image only the nearly upright are clipped."""


class RRPN(RPN):
    """Proposes rotated boxes. As `RPN`, with rotated parts: a `RotatedAnchorGenerator`, a
    `Box2BoxTransformRotated`, a head with ``box_dim=5`` and `RotatedBoxes` as ground truth.

    Args:
        those of `RPN`. `anchor_boundary_thresh` stays negative and `box_reg_loss_type` "smooth_l1": the
        others mean nothing for rotated boxes.
    """

    def match_anchors(self, anchors: Tensor, gt: GroundTruth) -> tuple[Tensor, Tensor]:
        """Return (N, A) matches and labels of rotated anchors (A, 5), as `RPN.match_anchors` does.

        Raises:
            ValueError: the ground truth has upright boxes.
        """
        if gt.boxes.shape[-1] != 5:
            raise ValueError(
                "RRPN is trained on RotatedBoxes, and these gt_boxes are upright: "
                "DatasetMapper(use_rotated_box=True) makes rotated ones"
            )
        return self.anchor_matcher.match_boxes(gt.boxes, gt.valid, anchors, pairwise_iou_rotated)
