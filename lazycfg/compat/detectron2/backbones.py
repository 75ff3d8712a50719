"""Backbones with detectron2's builders: ``build_resnet_backbone(cfg, input_shape)`` and its like."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from lazycfg import modeling
from lazycfg.config import instantiate
from lazycfg.layers import CNNBlockBase, ShapeSpec

from .stand_in import StandIn

__all__ = [
    "FPN",
    "Backbone",
    "ResNet",
    "ResNetBlockBase",
    "build_resnet_backbone",
    "build_resnet_fpn_backbone",
    "build_retinanet_resnet_fpn_backbone",
    "make_stage",
]

Backbone = modeling.Backbone
ResNetBlockBase = CNNBlockBase


class ResNet(modeling.ResNet, metaclass=StandIn):
    """`lazycfg.modeling.ResNet`, called by position, too."""

    stands_for = modeling.ResNet

    def __init__(
        self, stem: Any, stages: Any, num_classes: Any = None, out_features: Any = None, freeze_at: int = 0
    ) -> None:
        super().__init__(
            stem, stages, num_classes=num_classes, out_features=out_features, freeze_at=freeze_at
        )


class FPN(modeling.FPN, metaclass=StandIn):
    """`lazycfg.modeling.FPN`, called by position, too."""

    stands_for = modeling.FPN

    def __init__(
        self,
        bottom_up: Any,
        in_features: Any,
        out_channels: int,
        norm: Any = "",
        top_block: Any = None,
        fuse_type: str = "sum",
        square_pad: int = 0,
    ) -> None:
        super().__init__(
            bottom_up,
            in_features,
            out_channels,
            norm=norm,
            top_block=top_block,
            fuse_type=fuse_type,
            square_pad=square_pad,
        )


def make_stage(*args: Any, **kwargs: Any) -> Any:
    """Return the blocks of a stage; `ResNet.make_stage` is the same."""
    return modeling.ResNet.make_stage(*args, **kwargs)


def _built(cfg: Any, input_shape: ShapeSpec | None, name: str) -> Any:
    from lazycfg.convert.yacs.models.backbones import build_backbone

    from .building import keys_of

    other = cfg.clone()
    other.defrost()
    other.MODEL.BACKBONE.NAME = name
    if input_shape is not None and input_shape.channels != len(other.MODEL.PIXEL_MEAN):
        other.MODEL.PIXEL_MEAN = [0.0] * int(input_shape.channels or 0)
        other.MODEL.PIXEL_STD = [1.0] * int(input_shape.channels or 0)
    return instantiate(build_backbone(keys_of(other))[0])


def build_resnet_backbone(cfg: Any, input_shape: ShapeSpec | None = None) -> Any:
    """Build the ResNet that ``cfg.MODEL.RESNETS`` describes, for images of `input_shape.channels`."""
    return _built(cfg, input_shape, "build_resnet_backbone")


def build_resnet_fpn_backbone(cfg: Any, input_shape: ShapeSpec | None = None) -> Any:
    """Build the feature pyramid over a ResNet that ``cfg.MODEL.FPN`` describes, with a level by pooling."""
    return _built(cfg, input_shape, "build_resnet_fpn_backbone")


def build_retinanet_resnet_fpn_backbone(cfg: Any, input_shape: ShapeSpec | None = None) -> Any:
    """Build the feature pyramid over a ResNet that ``cfg.MODEL.FPN`` describes, with P6 and P7."""
    return _built(cfg, input_shape, "build_retinanet_resnet_fpn_backbone")


def build_resnet_deeplab_backbone(cfg: Any, input_shape: ShapeSpec | None = None) -> Any:
    """Build the ResNet of DeepLab."""
    return _built(cfg, input_shape, "build_resnet_deeplab_backbone")


def _assert_strides_are_log2_contiguous(strides: Sequence[int]) -> None:
    """Raise AssertionError where strides do not double from one to the next."""
    for fine, coarse in itertools.pairwise(strides):
        if coarse != 2 * fine:
            raise AssertionError(f"strides {fine} {coarse} are not log2 contiguous")
