"""Semantic segmentation: the model, and its heads."""

from __future__ import annotations

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.convert.yacs.keys import Keys
from lazycfg.convert.yacs.models.backbones import build_backbone
from lazycfg.convert.yacs.models.common import Shapes, choose, images, strided
from lazycfg.convert.yacs.models.pointrend import pointrend_sem_seg_head
from lazycfg.modeling import DeepLabV3Head, DeepLabV3PlusHead, SemanticSegmentor, SemSegFPNHead

__all__ = ["build_sem_seg_head", "crop_size", "decoder_channels", "semantic_segmentor"]

_SECTION = "MODEL.SEM_SEG_HEAD"


def semantic_segmentor(keys: Keys) -> Any:
    """Return a model that gives a class to each pixel."""
    backbone, shapes = build_backbone(keys)
    return L(SemanticSegmentor)(
        backbone=backbone, sem_seg_head=build_sem_seg_head(keys, shapes), **images(keys)
    )


def build_sem_seg_head(keys: Keys, shapes: Shapes) -> Any:
    """Return the node of the semantic head."""
    known = {"SemSegFPNHead": fpn_head, "DeepLabV3Head": deeplab_v3, "DeepLabV3PlusHead": deeplab_v3_plus}
    coarse = "MODEL.POINT_HEAD.COARSE_SEM_SEG_HEAD_NAME"
    more = {
        "PointRendSemSegHead": lambda keys, shapes: pointrend_sem_seg_head(
            keys, shapes, choose(keys, coarse, known)(keys, shapes)
        )
    }
    return choose(keys, f"{_SECTION}.NAME", {**known, **more})(keys, shapes)


def fpn_head(keys: Keys, shapes: Shapes) -> Any:
    """Return the head of Panoptic FPN."""
    return L(SemSegFPNHead)(
        input_shape=strided(keys, f"{_SECTION}.IN_FEATURES", shapes),
        ignore_value=keys(f"{_SECTION}.IGNORE_VALUE"),
        num_classes=keys(f"{_SECTION}.NUM_CLASSES"),
        conv_dims=keys(f"{_SECTION}.CONVS_DIM"),
        common_stride=keys(f"{_SECTION}.COMMON_STRIDE"),
        loss_weight=keys(f"{_SECTION}.LOSS_WEIGHT"),
        norm=keys(f"{_SECTION}.NORM"),
    )


def crop_size(keys: Keys) -> tuple[int, int] | None:
    """Return the size of the crops in training, which DeepLab pools images of; None without crops."""
    if not keys("INPUT.CROP.ENABLED"):
        return None
    if keys("INPUT.CROP.TYPE") != "absolute":
        raise keys.mistake("INPUT.CROP.TYPE", "DeepLab needs crops of one size", "INPUT.CROP.TYPE absolute")
    height, width = keys("INPUT.CROP.SIZE")
    return height, width


def _losses(keys: Keys) -> dict[str, Any]:
    return {
        "loss_weight": keys(f"{_SECTION}.LOSS_WEIGHT"),
        "loss_type": keys(f"{_SECTION}.LOSS_TYPE"),
        "ignore_value": keys(f"{_SECTION}.IGNORE_VALUE"),
        "num_classes": keys(f"{_SECTION}.NUM_CLASSES"),
    }


def deeplab_v3(keys: Keys, shapes: Shapes) -> Any:
    """Return the head of DeepLab v3."""
    return L(DeepLabV3Head)(
        input_shape=strided(keys, f"{_SECTION}.IN_FEATURES", shapes),
        aspp_channels=keys(f"{_SECTION}.ASPP_CHANNELS"),
        aspp_dilations=keys(f"{_SECTION}.ASPP_DILATIONS"),
        aspp_dropout=keys(f"{_SECTION}.ASPP_DROPOUT"),
        common_stride=keys(f"{_SECTION}.COMMON_STRIDE"),
        norm=keys(f"{_SECTION}.NORM"),
        train_size=crop_size(keys),
        **_losses(keys),
        use_depthwise_separable_conv=keys(f"{_SECTION}.USE_DEPTHWISE_SEPARABLE_CONV"),
    )


def decoder_channels(keys: Keys, section: str) -> list[int]:
    """Return the numbers of channels of a DeepLab decoder, from fine to coarse."""
    features = keys(f"{section}.IN_FEATURES")
    if len(keys(f"{section}.PROJECT_CHANNELS")) != len(features) - 1:
        raise keys.mistake(f"{section}.PROJECT_CHANNELS", f"needs {len(features) - 1} numbers for {features}")
    projected = keys(f"{section}.PROJECT_FEATURES")
    if list(projected) != list(features[:-1]):
        raise keys.mistake(
            f"{section}.PROJECT_FEATURES", f"is {projected}, but {features[:-1]} are projected"
        )
    return [keys(f"{section}.CONVS_DIM")] * (len(features) - 1) + [keys(f"{section}.ASPP_CHANNELS")]


def deeplab_v3_plus(keys: Keys, shapes: Shapes) -> Any:
    """Return the head of DeepLab v3+."""
    return L(DeepLabV3PlusHead)(
        input_shape=strided(keys, f"{_SECTION}.IN_FEATURES", shapes),
        project_channels=keys(f"{_SECTION}.PROJECT_CHANNELS"),
        aspp_dilations=keys(f"{_SECTION}.ASPP_DILATIONS"),
        aspp_dropout=keys(f"{_SECTION}.ASPP_DROPOUT"),
        decoder_channels=decoder_channels(keys, _SECTION),
        common_stride=keys(f"{_SECTION}.COMMON_STRIDE"),
        norm=keys(f"{_SECTION}.NORM"),
        train_size=crop_size(keys),
        **_losses(keys),
        use_depthwise_separable_conv=keys(f"{_SECTION}.USE_DEPTHWISE_SEPARABLE_CONV"),
    )
