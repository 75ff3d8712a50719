"""The two heads of Panoptic-DeepLab: classes of pixels, and centres of instances with offsets to them."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lazycfg.layers import Conv2d, ShapeSpec
from lazycfg.layers.batch_norm import Norm
from lazycfg.modeling import DeepLabV3PlusHead
from lazycfg.modeling.meta_arch.deeplab_heads import predictor, two_convs

__all__ = ["PanopticDeepLabInsEmbedHead", "PanopticDeepLabSemSegHead"]


class PanopticDeepLabSemSegHead(DeepLabV3PlusHead):
    """`DeepLabV3PlusHead` with two more convolutions before the classifier.

    Args:
        input_shape: the levels used, by name, with their channels and strides.
        decoder_channels: see `DeepLabV3PlusHead`.
        head_channels: channels after the two convolutions.
        num_classes: classes of pixels.
        norm: as `get_norm` takes it.
        loss_weight, loss_type, ignore_value: see `DeepLabV3PlusHead`.
        loss_top_k: the share of pixels that hard pixel mining trains on.
        kwargs: others of `DeepLabV3PlusHead`.
    """

    def __init__(
        self,
        input_shape: Mapping[str, ShapeSpec],
        *,
        decoder_channels: Sequence[int],
        head_channels: int,
        num_classes: int,
        norm: Norm,
        use_depthwise_separable_conv: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            input_shape,
            decoder_channels=decoder_channels,
            norm=norm,
            use_depthwise_separable_conv=use_depthwise_separable_conv,
            **kwargs,
        )
        channels = decoder_channels[0]
        self.head = two_convs(channels, channels, head_channels, norm, depthwise=use_depthwise_separable_conv)
        self.predictor = predictor(head_channels, num_classes)

    def layers(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return the logits (N, num_classes, H / common_stride, W / common_stride) of feature maps."""
        return self.predictor(self.head(self.decode(features)))


class PanopticDeepLabInsEmbedHead(DeepLabV3PlusHead):
    """For every pixel the heat of a centre of an instance, and the offset to the centre of its own.

    Args:
        input_shape: the levels used, by name, with their channels and strides.
        decoder_channels: see `DeepLabV3PlusHead`.
        head_channels: channels before the two predictors.
        norm: as `get_norm` takes it.
        center_loss_weight, offset_loss_weight: factors of the losses.
        use_depthwise_separable_conv: in ASPP, the decoder and before the predictor of offsets.
        kwargs: others of `DeepLabV3PlusHead`.
    """

    def __init__(
        self,
        input_shape: Mapping[str, ShapeSpec],
        *,
        decoder_channels: Sequence[int],
        head_channels: int,
        norm: Norm,
        center_loss_weight: float,
        offset_loss_weight: float,
        use_depthwise_separable_conv: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            input_shape,
            decoder_channels=decoder_channels,
            norm=norm,
            use_depthwise_separable_conv=use_depthwise_separable_conv,
            **kwargs,
        )
        self.center_loss_weight = center_loss_weight
        self.offset_loss_weight = offset_loss_weight
        channels = decoder_channels[0]
        self.center_head = two_convs(channels, channels, head_channels, norm)
        self.center_predictor: Conv2d = predictor(head_channels, 1)
        self.offset_head: nn.Module = two_convs(
            channels, channels, head_channels, norm, depthwise=use_depthwise_separable_conv
        )
        self.offset_predictor: Conv2d = predictor(head_channels, 2)

    def forward(  # type: ignore[override]
        self,
        features: Mapping[str, Tensor],
        center_targets: Tensor | None = None,
        center_weights: Tensor | None = None,
        offset_targets: Tensor | None = None,
        offset_weights: Tensor | None = None,
    ) -> tuple[Tensor | None, Tensor | None, dict[str, Tensor], dict[str, Tensor]]:
        """Return losses in training, else heat and offsets at the size of the image.

        Args:
            features: feature maps by name, (N, channels, H / stride, W / stride).
            center_targets: (N, 1, H, W), heat; needed in training, as are the next.
            center_weights: (N, 1, H, W), of the pixels in the loss.
            offset_targets: (N, 2, H, W), from each pixel to its centre, (y, x) in pixels.
            offset_weights: (N, 1, H, W).

        Returns:
            In training ``(None, None, {"loss_center": ...}, {"loss_offset": ...})``, else heat (N, 1, H, W),
            offsets (N, 2, H, W), ``{}`` and ``{}``.

        Raises:
            ValueError: a target is missing in training.
        """
        y = self.decode(features)
        center = self.to_image_size(self.center_predictor(self.center_head(y)))
        # Predicted in units of the map
        offset = self.to_image_size(self.offset_predictor(self.offset_head(y))) * self.common_stride
        if not self.training:
            return center, offset, {}, {}
        targets = (center_targets, center_weights, offset_targets, offset_weights)
        if any(x is None for x in targets):
            raise ValueError(
                f"{type(self).__name__}: training needs 'center', 'center_weights', 'offset' and "
                "'offset_weights' in the inputs; PanopticDeeplabDatasetMapper makes them"
            )
        return None, None, self.center_losses(center, *targets[:2]), self.offset_losses(offset, *targets[2:])

    def center_losses(self, predictions: Tensor, targets: Tensor, weights: Tensor) -> dict[str, Tensor]:
        """Return ``{"loss_center": loss}``, the weighted mean of squared errors.

        Args:
            predictions: (N, 1, H, W); may reach beyond the targets.
            targets: (N, 1, H, W).
            weights: (N, 1, H, W).
        """
        error = F.mse_loss(_cropped(predictions, targets), targets, reduction="none") * weights
        return {"loss_center": _mean(error, weights) * self.center_loss_weight}

    def offset_losses(self, predictions: Tensor, targets: Tensor, weights: Tensor) -> dict[str, Tensor]:
        """Return ``{"loss_offset": loss}``, the weighted mean of |y error| + |x error|.

        Args:
            predictions: (N, 2, H, W), in pixels; may reach beyond the targets.
            targets: (N, 2, H, W).
            weights: (N, 1, H, W).
        """
        error = F.l1_loss(_cropped(predictions, targets), targets, reduction="none") * weights
        return {"loss_offset": _mean(error, weights) * self.offset_loss_weight}


def _cropped(maps: Tensor, like: Tensor) -> Tensor:
    return maps[..., : like.shape[-2], : like.shape[-1]]


def _mean(errors: Tensor, weights: Tensor) -> Tensor:
    """Return the sum of weighted errors over the sum of weights; 0 where nothing has a weight."""
    total = weights.sum()
    return errors.sum() / torch.where(total > 0, total, 1.0)
