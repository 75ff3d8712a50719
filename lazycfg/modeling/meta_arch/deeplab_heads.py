"""Semantic heads of DeepLab: v3 (arXiv:1706.05587) and v3+ (arXiv:1802.02611)."""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lazycfg.layers import (
    ASPP,
    Conv2d,
    DeepLabCE,
    DepthwiseSeparableConv2d,
    ShapeSpec,
    c2_xavier_fill,
    get_norm,
    pixel_cross_entropy,
)
from lazycfg.layers.batch_norm import Norm

from ..data_needs import DataNeeds

__all__ = ["DeepLabV3Head", "DeepLabV3PlusHead"]

LossType = Literal["cross_entropy", "hard_pixel_mining"]
HARD_PIXELS = 0.2  # the share that hard pixel mining trains on


class _PixelHead(nn.Module):
    """What both heads share: losses and outputs at the size of the image. A subclass gives `layers`.

    Args:
        common_stride: of the logits, in pixels of the image.
        loss_weight: factor of the loss.
        loss_type: "cross_entropy", the mean over all pixels that count; "hard_pixel_mining", see `DeepLabCE`.
        ignore_value: pixels with this label have no part in the loss.
        top_k: the share of pixels that hard pixel mining trains on.
    """

    predictor: Conv2d | None

    def __init__(
        self, *, common_stride: int, loss_weight: float, loss_type: LossType, ignore_value: int, top_k: float
    ) -> None:
        super().__init__()
        if loss_type not in ("cross_entropy", "hard_pixel_mining"):
            expected = "'cross_entropy' or 'hard_pixel_mining'"
            raise ValueError(f"{type(self).__name__}: loss_type must be {expected}, got {loss_type!r}")
        self.common_stride = common_stride
        self.loss_weight = loss_weight
        self.ignore_value = ignore_value
        self.loss = DeepLabCE(ignore_value, top_k) if loss_type == "hard_pixel_mining" else None

    def data_needs(self) -> DataNeeds:
        """Return what this part needs of the data."""
        if self.predictor is None:
            return DataNeeds()
        return DataNeeds(stuff_classes=self.predictor.out_channels, ignore_label=self.ignore_value)

    def layers(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return the logits (N, num_classes, H / common_stride, W / common_stride) of feature maps.

        Raises:
            NotImplementedError: a subclass has to do this.
        """
        raise NotImplementedError

    def forward(
        self,
        features: Mapping[str, Tensor],
        targets: Tensor | None = None,
        weights: Tensor | None = None,
    ) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Return the loss in training, else logits.

        Args:
            features: feature maps by name, (N, channels, H / stride, W / stride).
            targets: labels (N, H, W), int64; needed in training.
            weights: (N, H, W), factors of the losses of pixels; for hard pixel mining.

        Returns:
            In training ``(None, {"loss_sem_seg": loss})``, else the logits (N, num_classes, H, W) and ``{}``.

        Raises:
            ValueError: there are no targets in training.
        """
        logits = self.layers(features)
        if not self.training:
            return self.to_image_size(logits), {}
        if targets is None:
            name = type(self).__name__
            raise ValueError(f"{name}: training needs targets, got None (is 'sem_seg' in the inputs?)")
        return None, self.losses(logits, targets, weights)

    def losses(self, logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> dict[str, Tensor]:
        """Return ``{"loss_sem_seg": loss}``, at the resolution of the labels.

        Args:
            logits: (N, num_classes, H / common_stride, W / common_stride).
            targets: labels (N, H, W), int64.
            weights: (N, H, W), factors of the losses of pixels; for hard pixel mining.

        Raises:
            ValueError: there are weights, and the loss takes none.
        """
        # The maps of an image whose size is no multiple of the stride reach beyond it.
        logits = self.to_image_size(logits)[..., : targets.shape[-2], : targets.shape[-1]]
        if self.loss is not None:
            loss = self.loss(logits, targets, weights)
        elif weights is None:
            loss = pixel_cross_entropy(logits, targets, self.ignore_value)
        else:
            raise ValueError(
                f"{type(self).__name__}: loss_type='cross_entropy' takes no weights, but the inputs "
                "have 'sem_seg_weights'; set loss_type='hard_pixel_mining'"
            )
        return {"loss_sem_seg": loss * self.loss_weight}

    def to_image_size(self, maps: Tensor) -> Tensor:
        """Return maps (N, C, H, W) enlarged by `common_stride`; half-precision ones become float32."""
        maps = maps.to(
            torch.promote_types(maps.dtype, torch.float32)
        )  # interpolation loses precision in half
        return F.interpolate(maps, scale_factor=self.common_stride, mode="bilinear", align_corners=False)


class DeepLabV3Head(_PixelHead):
    """`ASPP` on one feature map, and a classifier of pixels.

    Args:
        input_shape: the one level used, by name, with its channels and its stride.
        num_classes: classes of pixels.
        aspp_channels: channels of ASPP's branches and of its output.
        aspp_dilations: of ASPP's three 3x3 convolutions.
        aspp_dropout: probability of dropping an output of ASPP in training.
        common_stride: the stride of the level, in pixels.
        norm: as `get_norm` takes it.
        train_size: (height, width) of the images in training, to which the window of ASPP's average pooling
            is fitted; None: it averages over the whole map.
        loss_weight: factor of the loss.
        loss_type: "cross_entropy" or "hard_pixel_mining", the mean over the fifth of the pixels whose loss is
            largest.
        ignore_value: pixels with this label have no part in the loss.
        use_depthwise_separable_conv: in ASPP.

    Raises:
        ValueError: several levels, or a `train_size` that the stride does not divide.
    """

    def __init__(
        self,
        input_shape: Mapping[str, ShapeSpec],
        *,
        num_classes: int,
        aspp_channels: int = 256,
        aspp_dilations: Sequence[int] = (6, 12, 18),
        aspp_dropout: float = 0.0,
        common_stride: int = 16,
        norm: Norm = "BN",
        train_size: tuple[int, int] | None = None,
        loss_weight: float = 1.0,
        loss_type: LossType = "cross_entropy",
        ignore_value: int = -1,
        use_depthwise_separable_conv: bool = False,
    ) -> None:
        super().__init__(
            common_stride=common_stride,
            loss_weight=loss_weight,
            loss_type=loss_type,
            ignore_value=ignore_value,
            top_k=HARD_PIXELS,
        )
        self.in_features, channels, strides = _by_stride(type(self).__name__, input_shape)
        if len(self.in_features) != 1 or strides[0] != common_stride:
            shown = ", ".join(f"{n} of stride {s}" for n, s in zip(self.in_features, strides, strict=True))
            raise ValueError(
                f"DeepLabV3Head takes one level, whose stride is common_stride={common_stride}; "
                f"input_shape has {shown}"
            )
        self.train_size = train_size
        self.aspp = ASPP(
            channels[0],
            aspp_channels,
            aspp_dilations,
            norm=norm,
            activation=F.relu,
            pool_kernel_size=_pool_kernel(type(self).__name__, train_size, common_stride),
            dropout=aspp_dropout,
            use_depthwise_separable_conv=use_depthwise_separable_conv,
        )
        self.predictor = predictor(aspp_channels, num_classes)

    def layers(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return the logits (N, num_classes, H / common_stride, W / common_stride) of feature maps."""
        return self.predictor(self.aspp(features[self.in_features[0]]))


class DeepLabV3PlusHead(_PixelHead):
    """`ASPP` on the coarsest feature map, and a decoder that adds finer maps to its output one by one.

    Args:
        input_shape: the levels used, by name, with their channels and strides.
        project_channels: channels that each level but the coarsest is reduced to, from fine to coarse.
        aspp_dilations: of ASPP's three 3x3 convolutions.
        aspp_dropout: probability of dropping an output of ASPP in training.
        decoder_channels: channels after each level, from fine to coarse; the last are ASPP's.
        common_stride: the stride of the finest level, in pixels.
        norm: as `get_norm` takes it.
        train_size: (height, width) of the images in training, to which the window of ASPP's average pooling
            is fitted; None: it averages over the whole map.
        loss_weight: factor of the loss.
        loss_type: "cross_entropy" or "hard_pixel_mining", the mean over the fifth of the pixels whose loss is
            largest.
        ignore_value: pixels with this label have no part in the loss.
        num_classes: classes of pixels; None: no classifier, `layers` returns the decoder's features.
        use_depthwise_separable_conv: in ASPP and in the decoder.
        loss_top_k: the share of pixels that hard pixel mining trains on.

    Raises:
        ValueError: a wrong number of channels, or a `train_size` that the coarsest stride does not divide.
    """

    def __init__(
        self,
        input_shape: Mapping[str, ShapeSpec],
        *,
        project_channels: Sequence[int],
        aspp_dilations: Sequence[int],
        aspp_dropout: float,
        decoder_channels: Sequence[int],
        common_stride: int,
        norm: Norm,
        train_size: tuple[int, int] | None,
        loss_weight: float = 1.0,
        loss_type: LossType = "cross_entropy",
        ignore_value: int = -1,
        num_classes: int | None = None,
        use_depthwise_separable_conv: bool = False,
        loss_top_k: float = HARD_PIXELS,
    ) -> None:
        super().__init__(
            common_stride=common_stride,
            loss_weight=loss_weight,
            loss_type=loss_type,
            ignore_value=ignore_value,
            top_k=loss_top_k,
        )
        name = type(self).__name__
        self.in_features, channels, strides = _by_stride(name, input_shape)
        if len(project_channels) != len(channels) - 1 or len(decoder_channels) != len(channels):
            raise ValueError(
                f"{name}: for the levels {self.in_features}, project_channels needs {len(channels) - 1} "
                f"numbers and decoder_channels {len(channels)}; got {list(project_channels)} and "
                f"{list(decoder_channels)}"
            )
        if strides[0] != common_stride:
            raise ValueError(
                f"{name}: common_stride={common_stride}, but the finest level {self.in_features[0]!r} has "
                f"the stride {strides[0]}"
            )
        self.decoder = nn.ModuleDict()
        for i, feature in enumerate(self.in_features[:-1]):
            self.decoder[feature] = nn.ModuleDict(
                {
                    "project_conv": _conv(channels[i], project_channels[i], 1, norm),
                    "fuse_conv": two_convs(
                        project_channels[i] + decoder_channels[i + 1],
                        decoder_channels[i],
                        decoder_channels[i],
                        norm,
                        depthwise=use_depthwise_separable_conv,
                    ),
                }
            )
        self.train_size = train_size
        aspp = ASPP(
            channels[-1],
            decoder_channels[-1],
            aspp_dilations,
            norm=norm,
            activation=F.relu,
            pool_kernel_size=_pool_kernel(name, train_size, strides[-1]),
            dropout=aspp_dropout,
            use_depthwise_separable_conv=use_depthwise_separable_conv,
        )
        self.decoder[self.in_features[-1]] = nn.ModuleDict({"project_conv": aspp})
        self.predictor = None if num_classes is None else predictor(decoder_channels[0], num_classes)

    def decode(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return the decoder's features (N, decoder_channels[0], H / common_stride, W / common_stride)."""
        coarsest = self.in_features[-1]
        y = self.decoder[coarsest]["project_conv"](features[coarsest])
        for name in self.in_features[-2::-1]:
            stage = self.decoder[name]
            projected = stage["project_conv"](features[name])
            y = F.interpolate(y, size=projected.shape[-2:], mode="bilinear", align_corners=False)
            y = stage["fuse_conv"](torch.cat([projected, y], dim=1))
        return y

    def layers(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return the logits (N, num_classes, H / common_stride, W / common_stride) of feature maps; the
        decoder's features if there is no predictor.
        """
        y = self.decode(features)
        return y if self.predictor is None else self.predictor(y)


def two_convs(
    in_channels: int, hidden_channels: int, out_channels: int, norm: Norm, *, depthwise: bool = False
) -> nn.Module:
    """Return two 3x3 convolutions with norm and ReLU, or one 5x5 depthwise separable one in their place."""
    if depthwise:
        return DepthwiseSeparableConv2d(
            in_channels,
            out_channels,
            kernel_size=5,
            padding=2,
            norm1=norm,
            activation1=F.relu,
            norm2=norm,
            activation2=F.relu,
        )
    return nn.Sequential(
        _conv(in_channels, hidden_channels, 3, norm), _conv(hidden_channels, out_channels, 3, norm)
    )


def _conv(in_channels: int, out_channels: int, kernel_size: int, norm: Norm) -> Conv2d:
    conv = Conv2d(
        in_channels,
        out_channels,
        kernel_size=kernel_size,
        padding=kernel_size // 2,
        bias=not norm,
        norm=get_norm(norm, out_channels),
        activation=F.relu,
    )
    c2_xavier_fill(conv)
    return conv


def predictor(in_channels: int, out_channels: int) -> Conv2d:
    """Return a 1x1 convolution whose outputs are small at first."""
    conv = Conv2d(in_channels, out_channels, kernel_size=1)
    nn.init.normal_(conv.weight, std=0.001)
    nn.init.zeros_(conv.bias)
    return conv


def _by_stride(name: str, input_shape: Mapping[str, ShapeSpec]) -> tuple[list[str], list[int], list[int]]:
    """Return names, channels and strides of levels, from fine to coarse."""
    if not input_shape:
        raise ValueError(f"{name}(input_shape=) is empty")
    for level, spec in input_shape.items():
        if not spec.stride or not spec.channels:
            raise ValueError(f"{name}(input_shape=): {level!r} needs channels and a stride, got {spec}")
    levels = sorted(input_shape.items(), key=lambda level: level[1].stride or 0)
    return (
        [level for level, _ in levels],
        [spec.channels or 0 for _, spec in levels],
        [spec.stride or 0 for _, spec in levels],
    )


def _pool_kernel(name: str, train_size: Sequence[int] | None, stride: int) -> tuple[int, int] | None:
    """Return the size that images of `train_size` have in a map of a stride."""
    if train_size is None:
        return None
    height, width = train_size
    if height % stride or width % stride:
        raise ValueError(
            f"{name}: train_size={(height, width)} must be divisible by {stride}, the stride of the coarsest "
            "level; train_size=None pools over the whole map"
        )
    return height // stride, width // stride
