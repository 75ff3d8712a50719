"""Proposals from the maps of several branches."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from lazycfg.modeling import RPN, Matcher
from lazycfg.modeling.box_regression import BoxCodec
from lazycfg.structures import ImageList, Instances

__all__ = ["TridentRPN", "computed_branches"]


class TridentRPN(RPN):
    """`RPN` on the maps of all branches: each branch of each image counts as an image.

    So the losses are means over the branches, and the proposals of the first branch of all images come first,
    then those of the second, ...

    Args:
        num_branch: branches of the backbone.
        trident_fast: whether the backbone computes one branch only in evaluation.
        The others are those of `RPN`.
    """

    def __init__(
        self,
        *,
        num_branch: int,
        trident_fast: bool,
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
        super().__init__(
            in_features=in_features,
            head=head,
            anchor_generator=anchor_generator,
            anchor_matcher=anchor_matcher,
            box2box_transform=box2box_transform,
            batch_size_per_image=batch_size_per_image,
            positive_fraction=positive_fraction,
            pre_nms_topk=pre_nms_topk,
            post_nms_topk=post_nms_topk,
            nms_thresh=nms_thresh,
            min_box_size=min_box_size,
            anchor_boundary_thresh=anchor_boundary_thresh,
            loss_weight=loss_weight,
            box_reg_loss_type=box_reg_loss_type,
            smooth_l1_beta=smooth_l1_beta,
        )
        self.num_branch = num_branch
        self.trident_fast = trident_fast

    def forward(
        self,
        images: ImageList,
        features: Mapping[str, Tensor],
        gt_instances: Sequence[Instances] | None = None,
    ) -> tuple[list[Instances], dict[str, Tensor]]:
        """Propose boxes for the maps of all branches.

        Args:
            images: N images; only their sizes are used.
            features: maps by name, (B * N, C, H_i, W_i) for B branches, those of one branch together.
            gt_instances: per image, with ``gt_boxes``; needed in training.

        Returns:
            `Instances` of branches * N images, and the losses, as `RPN`.
        """
        number = computed_branches(self, self.training)
        for name in self.in_features:
            check_maps(self, name, len(features[name]), len(images), number)
        repeated = ImageList(images.tensor, images.image_sizes * number)
        truth = None if gt_instances is None else list(gt_instances) * number
        return super().forward(repeated, features, truth)


def computed_branches(part: Any, training: bool) -> int:
    """Return how many branches the maps are of, for a part with `num_branch` and `trident_fast`."""
    return 1 if part.trident_fast and not training else part.num_branch


def check_maps(part: nn.Module, name: str, maps: int, images: int, branches: int) -> None:
    """Raise ValueError where there are not `branches` maps for each image."""
    if maps != branches * images:
        raise ValueError(
            f"{type(part).__name__} expects {branches} branches of {images} images, but {name!r} has {maps} "
            "maps. num_branch must be that of the backbone, and trident_fast must be whether the backbone's "
            "test_branch_idx is not -1"
        )
