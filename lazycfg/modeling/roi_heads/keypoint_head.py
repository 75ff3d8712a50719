"""The keypoint head of Mask R-CNN (arXiv:1703.06870, section 5) and its loss."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lazycfg.layers import Conv2d, ConvTranspose2d, ShapeSpec
from lazycfg.structures import Instances, Keypoints
from lazycfg.structures.keypoints import heatmaps_to_keypoints
from lazycfg.utils.events import get_event_storage

from ..batched_instances import cat_field
from ..data_needs import DataNeeds

__all__ = [
    "BaseKeypointRCNNHead",
    "KRCNNConvDeconvUpsampleHead",
    "keypoint_rcnn_inference",
    "keypoint_rcnn_loss",
]


class BaseKeypointRCNNHead(nn.Module):
    """Base of keypoint heads: loss and inference around the method `layers` of a subclass.

    Args:
        num_keypoints: K, heatmaps per region.
        loss_weight: of "loss_keypoint".
        loss_normalizer: "visible" divides the loss by the number of visible keypoints of the batch; a number
            by itself times the number of images.
    """

    def __init__(
        self, *, num_keypoints: int, loss_weight: float = 1.0, loss_normalizer: float | str = 1.0
    ) -> None:
        super().__init__()
        if isinstance(loss_normalizer, str) and loss_normalizer != "visible":
            raise ValueError(f"loss_normalizer is 'visible' or a number, not {loss_normalizer!r}")
        self.num_keypoints = num_keypoints
        self.loss_weight = loss_weight
        self.loss_normalizer = loss_normalizer
        self.num_skipped_batches = 0

    def data_needs(self) -> DataNeeds:
        """Return what this part needs of the data."""
        return DataNeeds(keypoints=self.num_keypoints)

    def forward(self, x: Tensor, instances: Sequence[Instances]) -> dict[str, Tensor] | Sequence[Instances]:
        """Return the losses by name in training, else the instances with keypoints.

        Args:
            x: (R, C, H, W) features of the regions of all images.
            instances: per image. In training with ``proposal_boxes`` and ``gt_keypoints``; at inference with
                ``pred_boxes``.

        Returns:
            In training {"loss_keypoint"}; at inference the instances, which now have ``pred_keypoints``
            (R_i, K, 3) of x, y, score and ``pred_keypoint_heatmaps`` (R_i, K, S, S).
        """
        logits = self.layers(x)
        if not self.training:
            keypoint_rcnn_inference(logits, instances)
            return instances
        normalizer = None if self.loss_normalizer == "visible" else len(instances) * self.loss_normalizer
        if len(logits) == 0:
            self.num_skipped_batches += 1
            get_event_storage().put_scalar("kpts_num_skipped_batches", self.num_skipped_batches)
        loss = keypoint_rcnn_loss(logits, instances, normalizer=normalizer)
        return {"loss_keypoint": loss * self.loss_weight}

    def layers(self, x: Tensor) -> Tensor:
        """Map features (R, C, H, W) to heatmap logits (R, K, S, S).

        Raises:
            NotImplementedError: a subclass has to do this.
        """
        raise NotImplementedError


class KRCNNConvDeconvUpsampleHead(BaseKeypointRCNNHead, nn.Sequential):
    """3x3 convolutions, a 4x4 transposed convolution of stride 2, and bilinear upsampling by 2.

    Args:
        input_shape: channels of the pooled regions.
        num_keypoints: K.
        conv_dims: output channels of the convolutions.
        loss_weight, loss_normalizer: see `BaseKeypointRCNNHead`.
    """

    up_scale = 2

    def __init__(
        self,
        input_shape: ShapeSpec,
        *,
        num_keypoints: int,
        conv_dims: Sequence[int],
        loss_weight: float = 1.0,
        loss_normalizer: float | str = 1.0,
    ) -> None:
        super().__init__(
            num_keypoints=num_keypoints, loss_weight=loss_weight, loss_normalizer=loss_normalizer
        )
        channels = input_shape.channels
        for k, dim in enumerate(conv_dims, start=1):
            self.add_module(f"conv_fcn{k}", Conv2d(channels, dim, kernel_size=3, stride=1, padding=1))
            self.add_module(f"conv_fcn_relu{k}", nn.ReLU(inplace=True))
            channels = dim
        self.score_lowres = ConvTranspose2d(channels, num_keypoints, kernel_size=4, stride=2, padding=1)
        for name, p in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(p)
            else:
                nn.init.kaiming_normal_(p, mode="fan_out", nonlinearity="relu")

    def layers(self, x: Tensor) -> Tensor:
        """Map features (R, C, H, W) to heatmap logits (R, K, 4 * H, 4 * W)."""
        for layer in self:
            x = layer(x)
        return F.interpolate(x, scale_factor=self.up_scale, mode="bilinear", align_corners=False)


def keypoint_rcnn_loss(
    pred_keypoint_logits: Tensor, instances: Sequence[Instances], normalizer: float | None
) -> Tensor:
    """Return the cross-entropy over the cells of each visible keypoint's heatmap; 0 where there is none.

    Args:
        pred_keypoint_logits: (R, K, S, S).
        instances: per image, with ``proposal_boxes`` and ``gt_keypoints``.
        normalizer: what the sum is divided by; the number of visible keypoints by default.
    """
    num_regions, num_keypoints, side, _ = pred_keypoint_logits.shape
    if num_regions == 0:
        return pred_keypoint_logits.sum() * 0.0
    keypoints = Keypoints(cat_field(instances, "gt_keypoints"))
    targets, valid = keypoints.to_heatmap(cat_field(instances, "proposal_boxes"), side)
    valid = valid.bool()
    logits = pred_keypoint_logits.float().reshape(num_regions * num_keypoints, side * side)
    loss = F.cross_entropy(
        logits, targets.masked_fill(~valid, -1).flatten(), reduction="sum", ignore_index=-1
    )
    return loss / (valid.sum().clamp(min=1) if normalizer is None else normalizer)


@torch.no_grad()
def keypoint_rcnn_inference(pred_keypoint_logits: Tensor, pred_instances: Sequence[Instances]) -> None:
    """Give the instances ``pred_keypoints`` (R_i, K, 3) of x, y in pixels and score, and
    ``pred_keypoint_heatmaps`` (R_i, K, S, S).

    Args:
        pred_keypoint_logits: (R, K, S, S).
        pred_instances: per image, with ``pred_boxes``. Their sizes are read, which waits for the device.
    """
    boxes = cat_field(pred_instances, "pred_boxes")
    counts = [len(x) for x in pred_instances]
    places = heatmaps_to_keypoints(pred_keypoint_logits.float(), boxes)
    keypoints = torch.cat((places[..., :2], places[..., 3:]), dim=-1).split(counts)
    heatmaps = pred_keypoint_logits.split(counts)
    for instances, points, maps in zip(pred_instances, keypoints, heatmaps, strict=True):
        instances.set("pred_keypoints", points)
        instances.set("pred_keypoint_heatmaps", maps)
