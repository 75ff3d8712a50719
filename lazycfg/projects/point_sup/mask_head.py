"""Mask heads that are trained on a few labelled points of each object (arXiv:2104.06404)."""

from collections.abc import Sequence

from torch import Tensor

from lazycfg.modeling import DataNeeds, MaskRCNNConvUpsampleHead, point_sample
from lazycfg.projects.point_rend import ImplicitPointRendMaskHead, roi_mask_point_loss
from lazycfg.projects.point_sup.point_utils import get_point_coords_from_point_annotation
from lazycfg.structures import Boxes, Instances

__all__ = ["ImplicitPointRendPointSupHead", "MaskRCNNConvUpsamplePointSupHead"]


class MaskRCNNConvUpsamplePointSupHead(MaskRCNNConvUpsampleHead):
    """`MaskRCNNConvUpsampleHead` whose loss is taken at the annotated points alone."""

    def data_needs(self) -> DataNeeds:
        """Return what this part needs of the data."""
        masks = self.predictor.out_channels
        return DataNeeds(thing_classes=None if masks == 1 else masks)

    def forward(self, x: Tensor, instances: Sequence[Instances]) -> dict[str, Tensor] | Sequence[Instances]:
        """Return what `BaseMaskRCNNHead.forward` does of regions (R, C, H, W); in training the instances have
        points in place of masks, see `get_point_coords_from_point_annotation`.
        """
        if not self.training:
            return super().forward(x, instances)
        logits = self.layers(x)
        if len(logits) == 0:
            return {"loss_mask": logits.sum() * 0.0}
        points, labels = get_point_coords_from_point_annotation(instances)
        loss = roi_mask_point_loss(point_sample(logits, points), instances, labels)
        return {"loss_mask": loss * self.loss_weight}


class ImplicitPointRendPointSupHead(ImplicitPointRendMaskHead):
    """`ImplicitPointRendMaskHead` that is trained on the annotated points, not on drawn ones."""

    def data_needs(self) -> DataNeeds:
        """Return what this part needs of the data."""
        masks = self.point_head.num_classes
        return DataNeeds(thing_classes=None if masks == 1 else masks)

    def training_points(
        self, instances: Sequence[Instances], boxes: Sequence[Boxes]
    ) -> tuple[Tensor, Tensor]:
        """Return the annotated points (R, P, 2), relative to their boxes, and their labels (R, P)."""
        points, labels = get_point_coords_from_point_annotation(instances)
        device = boxes[0].device
        return points.to(device), labels.to(device)
