"""The heads of DensePose R-CNN: those of Faster R-CNN, and a branch for points on surfaces."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lazycfg.modeling import StandardROIHeads
from lazycfg.modeling.feature_maps import select_maps
from lazycfg.modeling.protocols import RegionPooler
from lazycfg.structures import ImageList, Instances

from ..structures.predictor_output import PredictorOutput
from .filter import DensePoseDataFilter

__all__ = ["DensePoseROIHeads", "densepose_inference"]


class DensePoseROIHeads(StandardROIHeads):
    """Box (mask, keypoint) heads, and maps of a surface over each box (arXiv:1802.00434).

    The same class is for charts and for continuous embeddings: what differs are the parts it is given.

    Args:
        densepose_in_features: names of the maps that the branch reads.
        densepose_pooler: as `ROIPooler`: of the decoder's map, or of all maps where there is no decoder.
        densepose_head: pooled regions (R, C, H, W) -> features, as `DensePoseV1ConvXHead`.
        densepose_predictor: features -> a `PredictorOutput` of R objects, as `DensePoseChartPredictor`.
        densepose_losses: ``(proposals, outputs) -> losses by name``, as `DensePoseChartLoss`; where there is
            an embedder, ``(proposals, outputs, embedder)``. None for a model that is not trained.
        decoder: maps by name -> one map, as `Decoder`; None to pool from the maps themselves.
        embedder: the embeddings of the vertices of meshes, for predictors of embeddings.
        densepose_data_filter: selects the proposals to train on, as `DensePoseDataFilter`, by default that.
        kwargs: the arguments of `StandardROIHeads`.
    """

    def __init__(
        self,
        *,
        densepose_in_features: Sequence[str],
        densepose_pooler: RegionPooler,
        densepose_head: nn.Module,
        densepose_predictor: nn.Module,
        densepose_losses: Callable[..., dict[str, Tensor]] | None,
        decoder: nn.Module | None = None,
        embedder: nn.Module | None = None,
        densepose_data_filter: DensePoseDataFilter | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.densepose_on = True
        self.densepose_in_features = list(densepose_in_features)
        self.use_decoder = decoder is not None
        if decoder is not None:
            self.decoder = decoder
        self.densepose_pooler = densepose_pooler
        self.densepose_head = densepose_head
        self.densepose_predictor = densepose_predictor
        self.densepose_losses = densepose_losses
        self.embedder = embedder
        self.densepose_data_filter = densepose_data_filter or DensePoseDataFilter()

    def forward(
        self,
        images: ImageList,
        features: Mapping[str, Tensor],
        proposals: Sequence[Instances],
        targets: Sequence[Instances] | None = None,
    ) -> tuple[list[Instances], dict[str, Tensor]]:
        """Return what `StandardROIHeads.forward` does, with DensePose's losses. Maps are (N, C, H, W)."""
        sampled, losses = super().forward(images, features, proposals, targets)
        if self.training and self.densepose_on:
            losses.update(self._densepose_losses(features, sampled))
        return sampled, losses

    def forward_with_given_boxes(
        self, features: Mapping[str, Tensor], instances: Sequence[Instances]
    ) -> Sequence[Instances]:
        """Predict masks, keypoints and ``pred_densepose`` of instances with ``pred_boxes`` and
        ``pred_classes``, from maps (N, C, H, W).

        ``pred_densepose`` is what the predictor gives, over the boxes; it is not set where no image has a
        box.
        """
        instances = super().forward_with_given_boxes(features, instances)
        if self.densepose_on and any(len(x) for x in instances):
            regions = self._pool(features, [x.pred_boxes for x in instances])
            densepose_inference(self.densepose_predictor(self.densepose_head(regions)), instances)
        return instances

    def _densepose_losses(
        self, features: Mapping[str, Tensor], proposals: Sequence[Instances]
    ) -> dict[str, Tensor]:
        if self.densepose_losses is None:
            raise ValueError(
                "DensePoseROIHeads cannot be trained without losses: model.roi_heads.densepose_losses"
            )
        proposals = self.densepose_data_filter(proposals, self.num_classes)
        regions = self._pool(features, [x.proposal_boxes for x in proposals])
        outputs = self.densepose_predictor(self.densepose_head(regions))
        if self.embedder is None:
            return self.densepose_losses(proposals, outputs)
        return self.densepose_losses(proposals, outputs, self.embedder)

    def _pool(self, features: Mapping[str, Tensor], boxes: Sequence[Any]) -> Tensor:
        """Regions (R, C, h, w) of all images, of the decoder's map if there is one."""
        if self.use_decoder:
            maps = [self.decoder({name: features[name] for name in self.densepose_in_features})]
        else:
            maps = select_maps(features, self.densepose_in_features, "densepose_in_features")
        regions = self.densepose_pooler(maps, boxes)
        if self.training and not len(regions):
            # all parameters have a part in the losses, whatever the batch: processes wait for each other
            regions = regions + torch.stack([x.flatten()[0] for x in maps]).sum()
        return regions


def densepose_inference(outputs: PredictorOutput, instances: Sequence[Instances]) -> None:
    """Give the instances of each image ``pred_densepose``: their rows of the outputs.

    Args:
        outputs: of all instances of the batch, in their order.
        instances: per image; they are changed.
    """
    for x, own in zip(instances, outputs.split([len(x) for x in instances]), strict=True):
        x.set("pred_densepose", own)
