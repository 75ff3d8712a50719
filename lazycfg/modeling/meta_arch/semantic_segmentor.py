"""Semantic segmentation: a backbone and a head that classifies pixels."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from ..backbone import Backbone
from ..postprocessing import sem_seg_postprocess_batch
from ..preprocessing import batch_maps
from .rcnn import ImageModel, output_sizes

__all__ = ["SemanticSegmentor", "batch_labels"]


def batch_labels(
    batched_inputs: Sequence[dict[str, Any]], backbone: Backbone, ignore_value: int, device: Any
) -> Tensor | None:
    """Return the "sem_seg" (H, W) of the inputs as (N, H, W), padded as the images are; None if there are
    none.
    """
    if not all("sem_seg" in x for x in batched_inputs):
        return None
    labels = [x["sem_seg"] for x in batched_inputs]
    return batch_maps(
        labels, device, ignore_value, backbone.size_divisibility, backbone.padding_constraints
    ).tensor


class SemanticSegmentor(ImageModel):
    """A backbone and a semantic head.

    Args:
        backbone: a built backbone.
        sem_seg_head: as `SemSegFPNHead`.
        pixel_mean, pixel_std, input_format: as for `GeneralizedRCNN`.
    """

    def __init__(
        self,
        *,
        backbone: Backbone,
        sem_seg_head: nn.Module,
        pixel_mean: Sequence[float],
        pixel_std: Sequence[float],
        input_format: str | None = None,
    ) -> None:
        super().__init__(
            backbone=backbone, pixel_mean=pixel_mean, pixel_std=pixel_std, input_format=input_format
        )
        self.sem_seg_head = sem_seg_head

    def forward(self, batched_inputs: Sequence[dict[str, Any]]) -> Any:
        """Return the losses by name in training, else the scores of each image.

        Args:
            batched_inputs: per image a dict with "image" (C, H, W), in training "sem_seg" (H, W) int64, and
                optionally "height" and "width" of the output.

        Returns:
            In training the losses by name; at inference per image {"sem_seg": logits (K, height, width)}.
        """
        if not self.training and not len(batched_inputs):
            return []
        images = self.preprocess_image(batched_inputs)
        targets = batch_labels(batched_inputs, self.backbone, self.sem_seg_head.ignore_value, self.device)
        features = self.backbone(images.tensor)
        logits, losses = self.sem_seg_head(features, targets)
        if self.training:
            return losses
        sizes = output_sizes(batched_inputs, images.image_sizes)
        outputs: list[dict[str, Tensor]] = [{} for _ in sizes]
        for index, maps in sem_seg_postprocess_batch(logits, images.image_sizes, sizes):
            for i, x in zip(index, maps, strict=True):
                outputs[i]["sem_seg"] = x
        return outputs
