"""The heads of PointRend and Implicit PointRend."""

from __future__ import annotations

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.convert.yacs.keys import Keys
from lazycfg.convert.yacs.models.common import Shapes, choose, shapes_of
from lazycfg.layers import ShapeSpec
from lazycfg.projects.point_rend import (
    ConvFCHead,
    ImplicitPointHead,
    PointRendMaskHead,
    PointRendSemSegHead,
    StandardPointHead,
)

__all__ = ["implicit_pointrend_head", "pointrend_head", "pointrend_sem_seg_head"]

_MASK = "MODEL.ROI_MASK_HEAD"
_POINT = "MODEL.POINT_HEAD"


def _channels(keys: Keys, key: str, shapes: Shapes) -> int:
    return sum(int(shape.channels or 0) for shape in shapes_of(keys, key, shapes))


def _classes(keys: Keys, of: str) -> int:
    classes: int = keys(f"{_POINT}.NUM_CLASSES")
    if classes != keys(of):
        raise keys.mistake(
            f"{_POINT}.NUM_CLASSES",
            f"is {classes}, but {of} is {keys(of)}",
            f"{_POINT}.NUM_CLASSES {keys(of)}",
        )
    return classes


def _coarse_head(keys: Keys, shapes: Shapes, output: Any) -> Any:
    side, channels = keys(f"{_MASK}.POOLER_RESOLUTION"), _channels(keys, f"{_MASK}.IN_FEATURES", shapes)
    return L(ConvFCHead)(
        input_shape=ShapeSpec(channels=channels, height=side, width=side),
        conv_dim=keys(f"{_MASK}.CONV_DIM"),
        fc_dims=[keys(f"{_MASK}.FC_DIM")] * keys(f"{_MASK}.NUM_FC"),
        output_shape=output,
    )


def pointrend_head(keys: Keys, shapes: Shapes) -> Any:
    """Return the mask head of PointRend on feature maps of these shapes."""
    classes = _classes(keys, "MODEL.ROI_HEADS.NUM_CLASSES")
    side = keys(f"{_MASK}.OUTPUT_SIDE_RESOLUTION")
    point_head = None
    if keys(f"{_MASK}.POINT_HEAD_ON"):
        choose(keys, f"{_POINT}.NAME", {"StandardPointHead": StandardPointHead})
        point_head = _standard_point_head(keys, shapes, classes)
    given = {
        "input_shape": shapes,
        "roi_pooler_in_features": list(keys(f"{_MASK}.IN_FEATURES")),
        "roi_pooler_size": keys(f"{_MASK}.POOLER_RESOLUTION"),
        "coarse_head": _coarse_head(keys, shapes, [classes, side, side]),
        "point_head": point_head,
        "vis_period": keys("VIS_PERIOD"),
    }
    if point_head is not None:
        given |= {
            "mask_point_in_features": list(keys(f"{_POINT}.IN_FEATURES")),
            "mask_point_train_num_points": keys(f"{_POINT}.TRAIN_NUM_POINTS"),
            "mask_point_oversample_ratio": keys(f"{_POINT}.OVERSAMPLE_RATIO"),
            "mask_point_importance_sample_ratio": keys(f"{_POINT}.IMPORTANCE_SAMPLE_RATIO"),
            "mask_point_subdivision_steps": keys(f"{_POINT}.SUBDIVISION_STEPS"),
            "mask_point_subdivision_num_points": keys(f"{_POINT}.SUBDIVISION_NUM_POINTS"),
        }
    return L(PointRendMaskHead)(**given)


def _standard_point_head(keys: Keys, shapes: Shapes, classes: int) -> Any:
    return L(StandardPointHead)(
        input_shape=ShapeSpec(channels=_channels(keys, f"{_POINT}.IN_FEATURES", shapes)),
        num_classes=classes,
        fc_dims=[keys(f"{_POINT}.FC_DIM")] * keys(f"{_POINT}.NUM_FC"),
        cls_agnostic_mask=keys(f"{_POINT}.CLS_AGNOSTIC_MASK"),
        coarse_pred_each_layer=keys(f"{_POINT}.COARSE_PRED_EACH_LAYER"),
    )


def implicit_pointrend_head(keys: Keys, shapes: Shapes, kind: Any) -> Any:
    """Return the mask head of Implicit PointRend on feature maps of these shapes."""
    choose(keys, f"{_POINT}.NAME", {"ImplicitPointHead": ImplicitPointHead})
    point_head: Any = L(ImplicitPointHead)(
        input_shape=ShapeSpec(channels=_channels(keys, f"{_POINT}.IN_FEATURES", shapes)),
        num_classes=_classes(keys, "MODEL.ROI_HEADS.NUM_CLASSES"),
        channels=keys(f"{_POINT}.FC_DIM"),
        num_fc=keys(f"{_POINT}.NUM_FC"),
        cls_agnostic_mask=keys(f"{_POINT}.CLS_AGNOSTIC_MASK"),
        image_feature_enabled=keys("MODEL.IMPLICIT_POINTREND.IMAGE_FEATURE_ENABLED"),
        positional_encoding_enabled=keys("MODEL.IMPLICIT_POINTREND.POS_ENC_ENABLED"),
    )
    return L(kind)(
        input_shape=shapes,
        roi_pooler_in_features=list(keys(f"{_MASK}.IN_FEATURES")),
        roi_pooler_size=keys(f"{_MASK}.POOLER_RESOLUTION"),
        point_head=point_head,
        parameter_head=_coarse_head(keys, shapes, [L.attr(point_head, "num_params")]),
        mask_point_in_features=list(keys(f"{_POINT}.IN_FEATURES")),
        mask_point_train_num_points=keys(f"{_POINT}.TRAIN_NUM_POINTS"),
        mask_point_subdivision_steps=keys(f"{_POINT}.SUBDIVISION_STEPS"),
        mask_point_subdivision_num_points=keys(f"{_POINT}.SUBDIVISION_NUM_POINTS"),
        regularizer=keys("MODEL.IMPLICIT_POINTREND.PARAMS_L2_REGULARIZER"),
    )


def pointrend_sem_seg_head(keys: Keys, shapes: Shapes, coarse: Any) -> Any:
    """Return the semantic head of PointRend over a coarse one."""
    choose(keys, f"{_POINT}.NAME", {"StandardPointHead": StandardPointHead})
    return L(PointRendSemSegHead)(
        coarse_sem_seg_head=coarse,
        point_head=_standard_point_head(keys, shapes, _classes(keys, "MODEL.SEM_SEG_HEAD.NUM_CLASSES")),
        in_features=list(keys(f"{_POINT}.IN_FEATURES")),
        train_num_points=keys(f"{_POINT}.TRAIN_NUM_POINTS"),
        oversample_ratio=keys(f"{_POINT}.OVERSAMPLE_RATIO"),
        importance_sample_ratio=keys(f"{_POINT}.IMPORTANCE_SAMPLE_RATIO"),
        subdivision_steps=keys(f"{_POINT}.SUBDIVISION_STEPS"),
        subdivision_num_points=keys(f"{_POINT}.SUBDIVISION_NUM_POINTS"),
    )
