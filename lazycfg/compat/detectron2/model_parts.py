"""Parts of models as detectron2 calls them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lazycfg import modeling
from lazycfg.modeling.backbone.vit_utils import decomposed_rel_pos
from lazycfg.modeling.box_regression import dense_box_regression_loss

from .stand_in import StandIn

__all__ = ["ROIPooler", "add_decomposed_rel_pos", "permute_to_N_HWA_K"]


class ROIPooler(modeling.ROIPooler, metaclass=StandIn):
    """`lazycfg.modeling.ROIPooler`, called by position, too."""

    stands_for = modeling.ROIPooler

    def __init__(
        self,
        output_size: Any,
        scales: Any,
        sampling_ratio: int,
        pooler_type: str,
        canonical_box_size: int = 224,
        canonical_level: int = 4,
    ) -> None:
        super().__init__(
            output_size=output_size,
            scales=scales,
            sampling_ratio=sampling_ratio,
            pooler_type=pooler_type,
            canonical_box_size=canonical_box_size,
            canonical_level=canonical_level,
        )


def permute_to_N_HWA_K(tensor: Tensor, K: int) -> Tensor:
    """Return (N, H * W * A, K) of a map (N, A * K, H, W)."""
    number, _, height, width = tensor.shape
    return tensor.view(number, -1, K, height, width).permute(0, 3, 4, 1, 2).reshape(number, -1, K)


def add_decomposed_rel_pos(
    attn: Tensor,
    q: Tensor,
    rel_pos_h: Tensor,
    rel_pos_w: Tensor,
    q_size: tuple[int, int],
    k_size: tuple[int, int],
) -> Tensor:
    """Return attention (B, q_h * q_w, k_h * k_w) with the positions added that two tables give (MViTv2).

    Args:
        q: queries (B, q_h * q_w, C).
        rel_pos_h, rel_pos_w: (L, C), for rows and columns.
    """
    rows, columns = decomposed_rel_pos(q, rel_pos_h, rel_pos_w, q_size, k_size)
    cells = attn.view(*attn.shape[:2], *k_size) + rows[..., :, None] + columns[..., None, :]
    return cells.view(attn.shape)


def _dense_box_regression_loss(
    anchors: Sequence[Any],
    box2box_transform: Any,
    pred_anchor_deltas: Sequence[Tensor],
    gt_boxes: Sequence[Tensor],
    fg_mask: Tensor,
    box_reg_loss_type: str = "smooth_l1",
    smooth_l1_beta: float = 0.0,
) -> Tensor:
    """Return the sum of the losses of the foreground anchors of all maps.

    Args:
        anchors: per map (A_i, 4), boxes or tensors.
        pred_anchor_deltas: per map (N, A_i, 4).
        gt_boxes: per image (A, 4).
        fg_mask: (N, A) bool.
    """
    all_anchors = torch.cat([getattr(level, "tensor", level) for level in anchors])
    return dense_box_regression_loss(
        all_anchors,
        box2box_transform,
        torch.cat(list(pred_anchor_deltas), dim=1),
        torch.stack(list(gt_boxes)),
        fg_mask,
        box_reg_loss_type=box_reg_loss_type,
        smooth_l1_beta=smooth_l1_beta,
    )
