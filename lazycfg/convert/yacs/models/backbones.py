"""Backbones, with the shapes of what they give."""

from __future__ import annotations

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.convert.yacs.keys import Keys
from lazycfg.convert.yacs.models.common import Shapes, choose, shapes_of
from lazycfg.layers import ShapeSpec
from lazycfg.modeling import (
    FPN,
    BasicStem,
    BottleneckBlock,
    DeepLabStem,
    DeformBottleneckBlock,
    LastLevelMaxPool,
    LastLevelP6P7,
    ResNet,
)

__all__ = ["build_backbone", "res5_stage"]

_STAGES = ("res2", "res3", "res4", "res5")


def build_backbone(keys: Keys) -> tuple[Any, Shapes]:
    """Return the node of the backbone, and the shapes of its feature maps."""
    from lazycfg.convert.yacs.models.densepose import hrfpn
    from lazycfg.convert.yacs.models.tridentnet import trident_stages

    known = {
        "build_resnet_backbone": resnet,
        "build_resnet_fpn_backbone": resnet_fpn,
        "build_retinanet_resnet_fpn_backbone": retinanet_resnet_fpn,
        "build_resnet_deeplab_backbone": deeplab_resnet,
        "build_trident_resnet_backbone": lambda keys: resnet(keys, trident_stages(keys)),
        "build_hrfpn_backbone": hrfpn,
    }
    found: tuple[Any, Shapes] = choose(keys, "MODEL.BACKBONE.NAME", known)(keys)
    return found


def resnet(keys: Keys, stages: Any = None, stem: Any = None) -> tuple[Any, Shapes]:
    """Return a ResNet; of the usual stages and stem where none are given."""
    outputs = keys("MODEL.RESNETS.OUT_FEATURES")
    node = L(ResNet)(
        stem=stem or _stem(keys, BasicStem),
        stages=stages or _stages(keys),
        out_features=outputs,
        freeze_at=keys("MODEL.BACKBONE.FREEZE_AT"),
    )
    return node, _shapes(keys, outputs)


def _stem(keys: Keys, kind: Any) -> Any:
    return L(kind)(
        in_channels=len(keys("MODEL.PIXEL_MEAN")),
        out_channels=keys("MODEL.RESNETS.STEM_OUT_CHANNELS"),
        norm=keys("MODEL.RESNETS.NORM"),
    )


def _stages(keys: Keys) -> Any:
    depth, width = keys("MODEL.RESNETS.DEPTH"), keys("MODEL.RESNETS.RES2_OUT_CHANNELS")
    deform = keys("MODEL.RESNETS.DEFORM_ON_PER_STAGE")
    if depth in (18, 34):
        if width != 64:
            raise keys.mistake("MODEL.RESNETS.RES2_OUT_CHANNELS", f"is {width}, but 64 for depth {depth}")
        if any(deform):
            raise keys.mistake("MODEL.RESNETS.DEFORM_ON_PER_STAGE", f"no stage of depth {depth} can be")
        return L(ResNet.make_default_stages)(
            depth=depth,
            norm=keys("MODEL.RESNETS.NORM"),
            stem_channels=keys("MODEL.RESNETS.STEM_OUT_CHANNELS"),
        )
    if depth not in _BLOCKS:
        raise keys.mistake("MODEL.RESNETS.DEPTH", f"is {depth}, but one of 18, 34, {sorted(_BLOCKS)}")
    dilation = keys("MODEL.RESNETS.RES5_DILATION")
    if dilation not in (1, 2):
        raise keys.mistake("MODEL.RESNETS.RES5_DILATION", f"is {dilation}, but 1 or 2")
    if width != 256:
        return _stages_of_width(keys, depth, width, dilation, deform)
    given = {
        "depth": depth,
        "stride_in_1x1": keys("MODEL.RESNETS.STRIDE_IN_1X1"),
        "norm": keys("MODEL.RESNETS.NORM"),
        "num_groups": keys("MODEL.RESNETS.NUM_GROUPS"),
        "width_per_group": keys("MODEL.RESNETS.WIDTH_PER_GROUP"),
        "stem_channels": keys("MODEL.RESNETS.STEM_OUT_CHANNELS"),
        "res5_dilation": dilation,
    }
    if any(deform):
        given |= {
            "deform_on_per_stage": deform,
            "deform_modulated": keys("MODEL.RESNETS.DEFORM_MODULATED"),
            "deform_num_groups": keys("MODEL.RESNETS.DEFORM_NUM_GROUPS"),
        }
    return L(ResNet.make_default_stages)(**given)


_BLOCKS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def _stages_of_width(keys: Keys, depth: int, width: int, dilation: int, deform: list[bool]) -> list[Any]:
    """Return stages of other numbers of channels than usual, each written out."""
    before = keys("MODEL.RESNETS.STEM_OUT_CHANNELS")
    groups = keys("MODEL.RESNETS.NUM_GROUPS")
    inner = groups * keys("MODEL.RESNETS.WIDTH_PER_GROUP")
    stages = []
    for index, blocks in enumerate(_BLOCKS[depth]):
        dilated = dilation if index == 3 else 1
        stride = 1 if index == 0 or dilated > 1 else 2
        options: dict[str, Any] = {}
        if deform[index]:
            options = {
                "deform_modulated": keys("MODEL.RESNETS.DEFORM_MODULATED"),
                "deform_num_groups": keys("MODEL.RESNETS.DEFORM_NUM_GROUPS"),
            }
        stages.append(
            L(ResNet.make_stage)(
                block_class=DeformBottleneckBlock if deform[index] else BottleneckBlock,
                num_blocks=blocks,
                stride_per_block=[stride] + [1] * (blocks - 1),
                in_channels=before,
                bottleneck_channels=inner * 2**index,
                out_channels=width * 2**index,
                num_groups=groups,
                norm=keys("MODEL.RESNETS.NORM"),
                stride_in_1x1=keys("MODEL.RESNETS.STRIDE_IN_1X1"),
                dilation=dilated,
                **options,
            )
        )
        before = width * 2**index
    return stages


def _shapes(keys: Keys, outputs: list[str]) -> dict[str, ShapeSpec]:
    width = keys("MODEL.RESNETS.RES2_OUT_CHANNELS")
    dilations = {"res5": keys("MODEL.RESNETS.RES5_DILATION")}
    if keys("MODEL.BACKBONE.NAME") == "build_resnet_deeplab_backbone":
        dilations["res4"] = keys("MODEL.RESNETS.RES4_DILATION")
    shapes: dict[str, ShapeSpec] = {}
    stride = 4
    for index, name in enumerate(_STAGES):
        stride *= 1 if index == 0 or dilations.get(name, 1) > 1 else 2
        shapes[name] = ShapeSpec(channels=width * 2**index, stride=stride)
    shapes["stem"] = ShapeSpec(channels=keys("MODEL.RESNETS.STEM_OUT_CHANNELS"), stride=4)
    unknown = [name for name in outputs if name not in shapes]
    if unknown or not outputs:
        raise keys.mistake("MODEL.RESNETS.OUT_FEATURES", f"is {outputs}, but of stem, {', '.join(_STAGES)}")
    return {name: shapes[name] for name in outputs}


def deeplab_resnet(keys: Keys) -> tuple[Any, Shapes]:
    """Return the ResNet of DeepLab: stages may be dilated, each block of the last by its own factor."""
    stem = choose(keys, "MODEL.RESNETS.STEM_TYPE", {"basic": BasicStem, "deeplab": DeepLabStem})
    given = {
        "depth": keys("MODEL.RESNETS.DEPTH"),
        "stride_in_1x1": keys("MODEL.RESNETS.STRIDE_IN_1X1"),
        "norm": keys("MODEL.RESNETS.NORM"),
        "num_groups": keys("MODEL.RESNETS.NUM_GROUPS"),
        "width_per_group": keys("MODEL.RESNETS.WIDTH_PER_GROUP"),
        "stem_channels": keys("MODEL.RESNETS.STEM_OUT_CHANNELS"),
        "res4_dilation": keys("MODEL.RESNETS.RES4_DILATION"),
        "res5_dilation": keys("MODEL.RESNETS.RES5_DILATION"),
        "res5_multi_grid": keys("MODEL.RESNETS.RES5_MULTI_GRID"),
    }
    if any(keys("MODEL.RESNETS.DEFORM_ON_PER_STAGE")):
        given |= {
            "deform_on_per_stage": keys("MODEL.RESNETS.DEFORM_ON_PER_STAGE"),
            "deform_modulated": keys("MODEL.RESNETS.DEFORM_MODULATED"),
            "deform_num_groups": keys("MODEL.RESNETS.DEFORM_NUM_GROUPS"),
        }
    return resnet(keys, L(ResNet.make_default_stages)(**given), _stem(keys, stem))


def resnet_fpn(keys: Keys) -> tuple[Any, Shapes]:
    """Return a feature pyramid over a ResNet, with a level made by max-pooling on top."""
    return _fpn(keys, lambda shapes: L(LastLevelMaxPool)(), more=1)


def retinanet_resnet_fpn(keys: Keys) -> tuple[Any, Shapes]:
    """Return a feature pyramid over a ResNet, with two levels made of res5 by convolutions."""

    def top(shapes: Shapes) -> Any:
        if "res5" not in shapes:
            raise keys.mistake("MODEL.RESNETS.OUT_FEATURES", "res5 is needed, which P6 and P7 are made of")
        return L(LastLevelP6P7)(
            in_channels=shapes["res5"].channels, out_channels=keys("MODEL.FPN.OUT_CHANNELS")
        )

    return _fpn(keys, top, more=2)


def _fpn(keys: Keys, top: Any, *, more: int) -> tuple[Any, Shapes]:
    bottom_up, below = resnet(keys)
    strides = [shape.stride or 1 for shape in shapes_of(keys, "MODEL.FPN.IN_FEATURES", below)]
    channels = keys("MODEL.FPN.OUT_CHANNELS")
    node = L(FPN)(
        bottom_up=bottom_up,
        in_features=keys("MODEL.FPN.IN_FEATURES"),
        out_channels=channels,
        norm=keys("MODEL.FPN.NORM"),
        top_block=top(below),
        fuse_type=keys("MODEL.FPN.FUSE_TYPE"),
    )
    for _ in range(more):
        strides.append(strides[-1] * 2)
    shapes = {f"p{s.bit_length() - 1}": ShapeSpec(channels=channels, stride=s) for s in strides}
    return node, shapes


def res5_stage(keys: Keys) -> tuple[Any, int]:
    """Return the stage that is the head of each region, and the number of its channels."""
    if keys("MODEL.RESNETS.DEFORM_ON_PER_STAGE")[-1]:
        raise keys.mistake("MODEL.RESNETS.DEFORM_ON_PER_STAGE", "the stage of the heads cannot be")
    groups = keys("MODEL.RESNETS.NUM_GROUPS")
    inner = groups * keys("MODEL.RESNETS.WIDTH_PER_GROUP") * 8
    channels = keys("MODEL.RESNETS.RES2_OUT_CHANNELS") * 8
    node = L(ResNet.make_stage)(
        block_class=BottleneckBlock,
        num_blocks=3,
        stride_per_block=[2, 1, 1],
        in_channels=channels // 2,
        bottleneck_channels=inner,
        out_channels=channels,
        num_groups=groups,
        norm=keys("MODEL.RESNETS.NORM"),
        stride_in_1x1=keys("MODEL.RESNETS.STRIDE_IN_1X1"),
    )
    return node, channels
