"""ROI heads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lazycfg import LazyCall as L
from lazycfg import ref
from lazycfg.convert.yacs.keys import Keys
from lazycfg.convert.yacs.models.backbones import res5_stage
from lazycfg.convert.yacs.models.common import (
    Shapes,
    box_codec,
    channels_of,
    choose,
    matcher,
    pooler,
    shapes_of,
    strided,
)
from lazycfg.convert.yacs.models.heads import box_head, box_predictor, keypoint_head, mask_head
from lazycfg.convert.yacs.models.pointrend import implicit_pointrend_head, pointrend_head
from lazycfg.layers import ShapeSpec
from lazycfg.modeling import (
    Box2BoxTransformRotated,
    CascadeROIHeads,
    MaskRCNNConvUpsampleHead,
    Matcher,
    Res5ROIHeads,
    RotatedFastRCNNOutputLayers,
    RROIHeads,
    StandardROIHeads,
)
from lazycfg.projects.point_rend import ImplicitPointRendMaskHead
from lazycfg.projects.point_sup import ImplicitPointRendPointSupHead, MaskRCNNConvUpsamplePointSupHead

__all__ = ["build_roi_heads", "res5_arguments", "standard_arguments"]

_SECTION = "MODEL.ROI_HEADS"
_BOX = "MODEL.ROI_BOX_HEAD"
_MASK = "MODEL.ROI_MASK_HEAD"
_KEYPOINT = "MODEL.ROI_KEYPOINT_HEAD"

# Mask heads of convolutions, and those that read the maps themselves
_CONV_HEADS = {
    "MaskRCNNConvUpsampleHead": MaskRCNNConvUpsampleHead,
    "MaskRCNNConvUpsamplePointSupHead": MaskRCNNConvUpsamplePointSupHead,
}
_POINT_HEADS = {
    "PointRendMaskHead": pointrend_head,
    "ImplicitPointRendMaskHead": lambda keys, shapes: implicit_pointrend_head(
        keys, shapes, ImplicitPointRendMaskHead
    ),
    "ImplicitPointRendPointSupHead": lambda keys, shapes: implicit_pointrend_head(
        keys, shapes, ImplicitPointRendPointSupHead
    ),
}


def build_roi_heads(keys: Keys, shapes: Shapes) -> Any:
    """Return the node of the ROI heads."""
    from lazycfg.convert.yacs.models.densepose import densepose_heads
    from lazycfg.convert.yacs.models.tridentnet import trident_res5_heads, trident_standard_heads

    known: Mapping[str, Any] = {
        "Res5ROIHeads": lambda keys, shapes: L(Res5ROIHeads)(**res5_arguments(keys, shapes)),
        "StandardROIHeads": lambda keys, shapes: L(StandardROIHeads)(**standard_arguments(keys, shapes)),
        "PointRendROIHeads": lambda keys, shapes: L(StandardROIHeads)(**standard_arguments(keys, shapes)),
        "CascadeROIHeads": cascade,
        "RROIHeads": rotated,
        "TridentRes5ROIHeads": trident_res5_heads,
        "TridentStandardROIHeads": trident_standard_heads,
        "DensePoseROIHeads": densepose_heads,
    }
    return choose(keys, f"{_SECTION}.NAME", known)(keys, shapes)


def _sampling(keys: Keys) -> dict[str, Any]:
    return {
        "num_classes": keys(f"{_SECTION}.NUM_CLASSES"),
        "batch_size_per_image": keys(f"{_SECTION}.BATCH_SIZE_PER_IMAGE"),
        "positive_fraction": keys(f"{_SECTION}.POSITIVE_FRACTION"),
        "proposal_append_gt": keys(f"{_SECTION}.PROPOSAL_APPEND_GT"),
    }


def res5_arguments(keys: Keys, shapes: Shapes) -> dict[str, Any]:
    """Return the arguments of heads that are the last stage of a ResNet."""
    if keys("MODEL.KEYPOINT_ON"):
        raise keys.mistake(
            "MODEL.KEYPOINT_ON", "Res5ROIHeads have no keypoints", f"{_SECTION}.NAME StandardROIHeads"
        )
    features = shapes_of(keys, f"{_SECTION}.IN_FEATURES", shapes)
    if len(features) != 1:
        raise keys.mistake(
            f"{_SECTION}.IN_FEATURES", f"Res5ROIHeads take one feature map, not {len(features)}"
        )
    stage, channels = res5_stage(keys)
    side = keys(f"{_BOX}.POOLER_RESOLUTION") // 2
    given = {
        **_sampling(keys),
        "proposal_matcher": matcher(keys, _SECTION, low_quality=False),
        "in_features": keys(f"{_SECTION}.IN_FEATURES"),
        "pooler": pooler(keys, _BOX, features),
        "res5": stage,
        "box_predictor": box_predictor(
            keys,
            ShapeSpec(channels=channels, height=1, width=1),
            box_codec(keys(f"{_BOX}.BBOX_REG_WEIGHTS")),
        ),
    }
    if keys("MODEL.MASK_ON"):
        kind = choose(keys, f"{_MASK}.NAME", _CONV_HEADS)
        given["mask_head"] = mask_head(keys, ShapeSpec(channels=channels, height=side, width=side), kind)
    return given


def standard_arguments(keys: Keys, shapes: Shapes) -> dict[str, Any]:
    """Return the arguments of heads with a pooler each."""
    head, output = box_head(keys, channels_of(keys, f"{_SECTION}.IN_FEATURES", shapes))
    return {
        **_other_arguments(keys, shapes),
        "proposal_matcher": matcher(keys, _SECTION, low_quality=False),
        "box_head": head,
        "box_predictor": box_predictor(keys, output, box_codec(keys(f"{_BOX}.BBOX_REG_WEIGHTS"))),
    }


def _other_arguments(keys: Keys, shapes: Shapes) -> dict[str, Any]:
    """Return the arguments that a cascade has, too."""
    return {
        **_sampling(keys),
        "box_in_features": keys(f"{_SECTION}.IN_FEATURES"),
        "box_pooler": pooler(keys, _BOX, shapes_of(keys, f"{_SECTION}.IN_FEATURES", shapes)),
        **_masks_and_keypoints(keys, shapes),
    }


def _masks_and_keypoints(keys: Keys, shapes: Shapes) -> dict[str, Any]:
    features = shapes_of(keys, f"{_SECTION}.IN_FEATURES", shapes)
    names, channels = keys(f"{_SECTION}.IN_FEATURES"), channels_of(keys, f"{_SECTION}.IN_FEATURES", shapes)
    given: dict[str, Any] = {"train_on_pred_boxes": keys(f"{_BOX}.TRAIN_ON_PRED_BOXES")}
    if keys("MODEL.MASK_ON"):
        given["mask_in_features"] = names
        kind = choose(keys, f"{_MASK}.NAME", {**_CONV_HEADS, **_POINT_HEADS})
        if keys(f"{_MASK}.NAME") in _POINT_HEADS:
            if keys(f"{_MASK}.POOLER_TYPE"):
                raise keys.mistake(
                    f"{_MASK}.POOLER_TYPE", "this head reads the maps itself", f'{_MASK}.POOLER_TYPE ""'
                )
            given["mask_head"] = kind(keys, strided(keys, f"{_SECTION}.IN_FEATURES", shapes))
        else:
            side = keys(f"{_MASK}.POOLER_RESOLUTION")
            given["mask_pooler"] = pooler(keys, _MASK, features)
            given["mask_head"] = mask_head(keys, ShapeSpec(channels=channels, width=side, height=side), kind)
    if keys("MODEL.KEYPOINT_ON"):
        given["keypoint_in_features"] = names
        given["keypoint_pooler"] = pooler(keys, _KEYPOINT, features)
        given["keypoint_head"] = keypoint_head(keys, channels)
    return given


def cascade(keys: Keys, shapes: Shapes) -> Any:
    """Return the heads of Cascade R-CNN."""
    section = "MODEL.ROI_BOX_CASCADE_HEAD"
    ious, weights = keys(f"{section}.IOUS"), keys(f"{section}.BBOX_REG_WEIGHTS")
    if len(ious) != len(weights):
        raise keys.mistake(f"{section}.IOUS", f"{len(ious)} stages, but {len(weights)} in BBOX_REG_WEIGHTS")
    if ious[0] != keys(f"{_SECTION}.IOU_THRESHOLDS")[0]:
        raise keys.mistake(
            f"{section}.IOUS", f"begins with {ious[0]}, but {_SECTION}.IOU_THRESHOLDS with another number"
        )
    if not keys(f"{_BOX}.CLS_AGNOSTIC_BBOX_REG"):
        raise keys.mistake(
            f"{_BOX}.CLS_AGNOSTIC_BBOX_REG", "a cascade needs it", f"{_BOX}.CLS_AGNOSTIC_BBOX_REG True"
        )
    channels = channels_of(keys, f"{_SECTION}.IN_FEATURES", shapes)
    output = box_head(keys, channels)[1]
    predictors = [box_predictor(keys, output, box_codec(stage)) for stage in weights]
    for predictor in predictors:
        predictor.num_classes = ref("...num_classes")
    return L(CascadeROIHeads)(
        **_other_arguments(keys, shapes),
        box_heads=[box_head(keys, channels)[0] for _ in ious],
        box_predictors=predictors,
        proposal_matchers=[
            L(Matcher)(thresholds=[iou], labels=[0, 1], allow_low_quality_matches=False) for iou in ious
        ],
    )


def rotated(keys: Keys, shapes: Shapes) -> Any:
    """Return the heads for rotated boxes."""
    for key in ("MODEL.MASK_ON", "MODEL.KEYPOINT_ON"):
        if keys(key):
            raise keys.mistake(key, "RROIHeads have only boxes", f"{key} False")
    if keys(f"{_BOX}.POOLER_TYPE") != "ROIAlignRotated":
        raise keys.mistake(f"{_BOX}.POOLER_TYPE", "RROIHeads need it", f"{_BOX}.POOLER_TYPE ROIAlignRotated")
    features = shapes_of(keys, f"{_SECTION}.IN_FEATURES", shapes)
    head, output = box_head(keys, channels_of(keys, f"{_SECTION}.IN_FEATURES", shapes))
    codec = L(Box2BoxTransformRotated)(weights=keys(f"{_BOX}.BBOX_REG_WEIGHTS"))
    return L(RROIHeads)(
        **_sampling(keys),
        proposal_matcher=matcher(keys, _SECTION, low_quality=False),
        box_in_features=keys(f"{_SECTION}.IN_FEATURES"),
        box_pooler=pooler(keys, _BOX, features),
        box_head=head,
        box_predictor=box_predictor(keys, output, codec, RotatedFastRCNNOutputLayers),
    )
