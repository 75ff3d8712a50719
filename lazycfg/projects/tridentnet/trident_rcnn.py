"""Heads on the proposals of several branches."""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn

from lazycfg.modeling import Matcher, Res5ROIHeads, ROIHeads, StandardROIHeads
from lazycfg.modeling.batched_instances import append_instances, cat_field, select_rows
from lazycfg.modeling.padding import pad_rows
from lazycfg.modeling.protocols import BoxHead, BoxPredictor, MaskHead, RegionPooler
from lazycfg.modeling.roi_heads.detections import suppress
from lazycfg.structures import ImageList, Instances

from .trident_rpn import computed_branches

__all__ = ["TridentRes5ROIHeads", "TridentStandardROIHeads", "merge_branch_instances"]


@torch.compiler.disable
def merge_branch_instances(
    instances: Sequence[Instances], num_branch: int, nms_thresh: float, topk_per_image: int
) -> list[Instances]:
    """Merge the detections of all branches, with one NMS within each class of each image.

    The device is waited for once.

    Args:
        instances: those of the first branch of all images, then those of the second, ...; with
            ``pred_boxes``, ``scores``, ``pred_classes``; further fields stay.
        num_branch: number of branches.
        nms_thresh: overlap above which the worse of two boxes of a class goes.
        topk_per_image: detections kept of each image; negative for all.

    Returns:
        Per image the detections, best first.

    Raises:
        ValueError: the `Instances` are not of so many branches.
    """
    if len(instances) % num_branch:
        raise ValueError(f"merge_branch_instances: {len(instances)} Instances of {num_branch} branches")
    images = len(instances) // num_branch
    if num_branch == 1 or images == 0:
        return list(instances)
    branches = [instances[start : start + images] for start in range(0, len(instances), images)]
    merged = reduce(append_instances, branches)
    counts = [len(x) for x in merged]
    scores = cat_field(merged, "scores").float()
    columns = [
        cat_field(merged, "pred_boxes").float(),
        scores[:, None],
        cat_field(merged, "pred_classes").float()[:, None],
    ]
    table, valid = pad_rows(torch.cat(columns, dim=1), counts)
    # Its score tells what is no detection; its row is known on the host
    table[..., 4] = torch.where(valid, table[..., 4], -1.0)
    row = torch.arange(table.shape[1], device=table.device, dtype=table.dtype).expand(images, -1)
    host = torch.cat((table, row[..., None]), dim=-1).cpu().numpy()
    kept, kept_counts = suppress(host, nms_thresh, topk_per_image)
    rows = torch.from_numpy(kept[:, -1].astype("int64")).split(kept_counts)
    return select_rows(merged, [own.numpy() for own in rows])


class _BranchedHeads(ROIHeads):
    """What heads do for several branches: each branch of each image is an image to the class behind this one.

    Attributes:
        num_branch, trident_fast: see `TridentRes5ROIHeads`, which sets them.
    """

    num_branch: int
    trident_fast: bool
    box_predictor: Any

    def forward(
        self,
        images: ImageList,
        features: Mapping[str, Tensor],
        proposals: Sequence[Instances],
        targets: Sequence[Instances] | None = None,
    ) -> tuple[list[Instances], dict[str, Tensor]]:
        """Return what `ROIHeads.forward` does; maps (B * N, C, H, W) and proposals are those of all branches,
        one branch after the other.
        """
        branches = computed_branches(self, self.training)
        repeated = None if targets is None else list(targets) * branches
        found, losses = super().forward(images, features, proposals, repeated)
        if self.training:
            return found, losses
        predictor = self.box_predictor
        return (
            merge_branch_instances(found, branches, predictor.test_nms_thresh, predictor.test_topk_per_image),
            losses,
        )

    def forward_with_given_boxes(
        self, features: Mapping[str, Tensor], instances: Sequence[Instances]
    ) -> Sequence[Instances]:
        """Return what `ROIHeads.forward_with_given_boxes` does, on the maps (N, C, H, W) of one branch.

        Raises:
            ValueError: there are the maps of several branches.
        """
        maps = features[self.in_features[0]]
        if len(maps) != len(instances):
            raise ValueError(
                f"{type(self).__name__}: boxes of {len(instances)} images, but maps of {len(maps)}. Masks "
                "of given boxes are predicted from one branch: choose it by the backbone's test_branch_idx"
            )
        return super().forward_with_given_boxes(features, instances)


class TridentRes5ROIHeads(_BranchedHeads, Res5ROIHeads):
    """`Res5ROIHeads` on the proposals of all branches.

    In training each branch of each image counts as an image. In evaluation the detections of all branches are
    merged, with the thresholds of the box predictor.

    Args:
        num_branch: branches of the backbone.
        trident_fast: whether the backbone computes one branch only in evaluation.
        The others are those of `Res5ROIHeads`.
    """

    def __init__(
        self,
        *,
        num_branch: int,
        trident_fast: bool,
        num_classes: int,
        batch_size_per_image: int,
        positive_fraction: float,
        proposal_matcher: Matcher,
        in_features: Sequence[str],
        pooler: RegionPooler,
        res5: nn.Module | Sequence[nn.Module],
        box_predictor: BoxPredictor,
        mask_head: MaskHead | None = None,
        proposal_append_gt: bool = True,
    ) -> None:
        super().__init__(
            num_classes=num_classes,
            batch_size_per_image=batch_size_per_image,
            positive_fraction=positive_fraction,
            proposal_matcher=proposal_matcher,
            in_features=in_features,
            pooler=pooler,
            res5=res5,
            box_predictor=box_predictor,
            mask_head=mask_head,
            proposal_append_gt=proposal_append_gt,
        )
        self.num_branch = num_branch
        self.trident_fast = trident_fast


class TridentStandardROIHeads(_BranchedHeads, StandardROIHeads):
    """`StandardROIHeads` on the proposals of all branches, as `TridentRes5ROIHeads` does it.

    Args:
        num_branch: branches of the backbone.
        trident_fast: whether the backbone computes one branch only in evaluation.
        The others are those of `StandardROIHeads`.
    """

    def __init__(
        self,
        *,
        num_branch: int,
        trident_fast: bool,
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
            box_in_features=box_in_features,
            box_pooler=box_pooler,
            box_head=box_head,
            box_predictor=box_predictor,
            mask_in_features=mask_in_features,
            mask_pooler=mask_pooler,
            mask_head=mask_head,
            keypoint_in_features=keypoint_in_features,
            keypoint_pooler=keypoint_pooler,
            keypoint_head=keypoint_head,
            train_on_pred_boxes=train_on_pred_boxes,
            proposal_append_gt=proposal_append_gt,
        )
        self.num_branch = num_branch
        self.trident_fast = trident_fast
