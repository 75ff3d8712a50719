"""PointRend for semantic segmentation (arXiv:1912.08193, section 4.2)."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lazycfg.modeling import DataNeeds
from lazycfg.modeling.point_features import (
    check_point_sampling,
    get_uncertain_point_coords_on_grid,
    get_uncertain_point_coords_with_randomness,
    point_sample,
)
from lazycfg.projects.point_rend.point_head import StandardPointHead

__all__ = ["PointRendSemSegHead", "calculate_uncertainty"]


def calculate_uncertainty(sem_seg_logits: Tensor) -> Tensor:
    """Return how near the second best class is to the best one, (N, K, ...) -> (N, 1, ...), at most 0."""
    best = sem_seg_logits.topk(2, dim=1).values
    return best[:, 1:] - best[:, :1]


class PointRendSemSegHead(nn.Module):
    """A semantic head whose prediction is refined at points.

    Args:
        coarse_sem_seg_head: any semantic head with `layers` and `losses`, as `SemSegFPNHead`.
        point_head: as `StandardPointHead`, of as many classes.
        in_features: names of the maps that the point head sees.
        train_num_points: points of each image in training.
        oversample_ratio, importance_sample_ratio: see `get_uncertain_point_coords_with_randomness`.
        subdivision_steps: how often the coarse prediction is doubled at inference: for one of stride 4, 2
            steps give the size of the image.
        subdivision_num_points: points predicted anew in each step.
    """

    def __init__(
        self,
        *,
        coarse_sem_seg_head: nn.Module,
        point_head: StandardPointHead,
        in_features: Sequence[str] = ("p2",),
        train_num_points: int = 1024,
        oversample_ratio: float = 3,
        importance_sample_ratio: float = 0.75,
        subdivision_steps: int = 2,
        subdivision_num_points: int = 8192,
    ) -> None:
        super().__init__()
        check_point_sampling(oversample_ratio, importance_sample_ratio)
        if point_head.num_classes < 2:
            raise ValueError("PointRendSemSegHead needs at least two classes of pixels")
        self.coarse_sem_seg_head = coarse_sem_seg_head
        self.point_head = point_head
        self.in_features = list(in_features)
        self.train_num_points = train_num_points
        self.oversample_ratio = oversample_ratio
        self.importance_sample_ratio = importance_sample_ratio
        self.subdivision_steps = subdivision_steps
        self.subdivision_num_points = subdivision_num_points

    @property
    def ignore_value(self) -> int:
        """Pixels with this label have no part in the losses: the value of the coarse head."""
        return self.coarse_sem_seg_head.ignore_value

    def data_needs(self) -> DataNeeds:
        """Return what this part needs of the data."""
        return DataNeeds(stuff_classes=self.point_head.num_classes)

    def forward(
        self, features: Mapping[str, Tensor], targets: Tensor | None = None
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Compute the losses in training, and the logits otherwise.

        Args:
            features: maps by name, (N, C, H / stride, W / stride).
            targets: labels (N, H, W), int64; needed in training.

        Returns:
            In training ``(None, {"loss_sem_seg", "loss_sem_seg_point"})``, else the logits
            (N, K, side of the coarse prediction * 2^subdivision_steps) and ``{}``.

        Raises:
            ValueError: there are no targets in training.
        """
        coarse = self.coarse_sem_seg_head.layers(features)
        if not self.training:
            return self.refine(features, coarse), {}
        if targets is None:
            raise ValueError("PointRendSemSegHead: training needs targets (is 'sem_seg' in the inputs?)")
        losses = self.coarse_sem_seg_head.losses(coarse, targets)
        points = get_uncertain_point_coords_with_randomness(
            coarse.detach(),
            calculate_uncertainty,
            self.train_num_points,
            self.oversample_ratio,
            self.importance_sample_ratio,
        )
        losses["loss_sem_seg_point"] = self.point_loss(features, coarse, points, targets)
        return None, losses

    def point_loss(
        self, features: Mapping[str, Tensor], coarse: Tensor, points: Tensor, targets: Tensor
    ) -> Tensor:
        """Mean cross-entropy of the points (N, P, 2) that count; 0 if none does."""
        logits = self.point_logits(features, coarse, points).float()
        labels = point_sample(targets.unsqueeze(1).float(), points, mode="nearest")[:, 0].long()
        loss = F.cross_entropy(logits, labels, ignore_index=self.ignore_value, reduction="sum")
        return loss / (labels != self.ignore_value).sum().clamp(min=1)

    def point_logits(self, features: Mapping[str, Tensor], coarse: Tensor, points: Tensor) -> Tensor:
        """Predict the classes of points: (N, P, 2) relative to the maps -> (N, K, P)."""
        fine = [point_sample(features[name], points) for name in self.in_features]
        return self.point_head(torch.cat(fine, dim=1), point_sample(coarse, points))

    def refine(self, features: Mapping[str, Tensor], coarse: Tensor) -> Tensor:
        """Double coarse logits (N, K, H, W) step by step, predicting the most uncertain points anew."""
        logits = coarse
        for _ in range(self.subdivision_steps):
            logits = F.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False)
            index, points = get_uncertain_point_coords_on_grid(
                calculate_uncertainty(logits), self.subdivision_num_points
            )
            refined = self.point_logits(features, coarse, points).to(logits.dtype)
            index = index.unsqueeze(1).expand(-1, logits.shape[1], -1)
            logits = logits.flatten(2).scatter(2, index, refined).view_as(logits)
        return logits
