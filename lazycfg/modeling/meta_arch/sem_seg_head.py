"""Semantic segmentation from a feature pyramid (Panoptic FPN, arXiv:1901.02446, section 3.1)."""

import math
from collections.abc import Callable, Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from lazycfg.layers import Conv2d, ShapeSpec, c2_msra_fill, get_norm, pixel_cross_entropy

from ..data_needs import DataNeeds

__all__ = ["PyramidDecoder", "SemSegFPNHead"]


class PyramidDecoder(nn.Module):
    """Brings every level to one stride by convolutions and 2x upsampling, adds them up and applies a 1x1
    convolution.

    Args:
        input_shape: the levels used, by name, with their channels and strides.
        out_channels: channels of the result.
        conv_dims: channels inside.
        common_stride: the stride, in pixels, that the levels are brought to.
        norm: name of the normalisation after each convolution, or what makes one (see `get_norm`).
    """

    def __init__(
        self,
        *,
        input_shape: Mapping[str, ShapeSpec],
        out_channels: int,
        conv_dims: int,
        common_stride: int,
        norm: str | Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        levels = sorted(input_shape.items(), key=lambda level: level[1].stride or 0)
        if not levels:
            raise ValueError(f"{type(self).__name__}(input_shape=) is empty")
        self.in_features = [name for name, _ in levels]
        self.common_stride = common_stride
        for name, spec in levels:
            self.add_module(name, self._to_common_stride(name, spec, conv_dims, norm))
        self.predictor = Conv2d(conv_dims, out_channels, kernel_size=1)
        c2_msra_fill(self.predictor)

    def _to_common_stride(
        self, name: str, spec: ShapeSpec, conv_dims: int, norm: str | Callable[[int], nn.Module] | None
    ) -> nn.Sequential:
        """Convolutions and upsamplings from one level's stride to the common one."""
        this = type(self).__name__
        if not spec.stride or not spec.channels:
            raise ValueError(f"{this}(input_shape=): {name!r} needs channels and a stride, got {spec}")
        halvings = math.log2(spec.stride / self.common_stride)
        if halvings < 0 or not halvings.is_integer():
            raise ValueError(
                f"{this}: the stride {spec.stride} of {name!r} is not "
                f"common_stride={self.common_stride} times a power of two"
            )
        layers: list[nn.Module] = []
        for i in range(max(1, int(halvings))):
            conv = Conv2d(
                spec.channels if i == 0 else conv_dims,
                conv_dims,
                kernel_size=3,
                padding=1,
                bias=not norm,
                norm=get_norm(norm, conv_dims),
                activation=F.relu,
            )
            c2_msra_fill(conv)
            layers.append(conv)
            if halvings:
                layers.append(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False))
        return nn.Sequential(*layers)

    def layers(self, features: Mapping[str, Tensor]) -> Tensor:
        """Maps (N, channels, H / stride, W / stride) by name -> (N, out_channels, H / common_stride,
        W / common_stride).
        """
        x = self.get_submodule(self.in_features[0])(features[self.in_features[0]])
        for name in self.in_features[1:]:
            x = x + self.get_submodule(name)(features[name])
        return self.predictor(x)


class SemSegFPNHead(PyramidDecoder):
    """Classifies the pixels of all levels of a pyramid, added up at one stride.

    Args:
        input_shape: the levels used, by name, with their channels and strides.
        num_classes: classes of pixels.
        conv_dims: channels inside the head.
        common_stride: the stride, in pixels, that the levels are brought to.
        loss_weight: factor of the loss.
        norm: name of the normalisation after each convolution, or what makes one (see `get_norm`).
        ignore_value: pixels with this label have no part in the loss.
    """

    def __init__(
        self,
        *,
        input_shape: Mapping[str, ShapeSpec],
        num_classes: int,
        conv_dims: int,
        common_stride: int,
        loss_weight: float = 1.0,
        norm: str | Callable[[int], nn.Module] | None = None,
        ignore_value: int = -1,
    ) -> None:
        super().__init__(
            input_shape=input_shape,
            out_channels=num_classes,
            conv_dims=conv_dims,
            common_stride=common_stride,
            norm=norm,
        )
        self.loss_weight = loss_weight
        self.ignore_value = ignore_value

    def data_needs(self) -> DataNeeds:
        """Return what this part needs of the data."""
        return DataNeeds(stuff_classes=self.predictor.out_channels, ignore_label=self.ignore_value)

    def forward(
        self, features: Mapping[str, Tensor], targets: Tensor | None = None
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Classify the pixels.

        Args:
            features: feature maps by name, (N, channels, H / stride, W / stride).
            targets: labels (N, H, W), int64; needed in training.

        Returns:
            In training ``(None, {"loss_sem_seg": loss})``, else the logits (N, num_classes, H, W) and ``{}``.

        Raises:
            ValueError: there are no targets in training.
        """
        logits = self.layers(features)
        if self.training:
            if targets is None:
                raise ValueError(
                    "SemSegFPNHead: training needs targets, got None (is 'sem_seg' in the inputs?)"
                )
            return None, self.losses(logits, targets)
        return self._to_image_size(logits), {}

    def losses(self, logits: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return the mean cross-entropy over the pixels that count, at the resolution of the labels (N, H,
        W); 0 if none does.
        """
        # Interpolation loses precision in half; the reference upsamples in single, too.
        logits = self._to_image_size(logits.float())
        return {"loss_sem_seg": pixel_cross_entropy(logits, targets, self.ignore_value) * self.loss_weight}

    def _to_image_size(self, logits: Tensor) -> Tensor:
        return F.interpolate(logits, scale_factor=self.common_stride, mode="bilinear", align_corners=False)
