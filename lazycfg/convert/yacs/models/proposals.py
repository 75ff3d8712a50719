"""Proposal generators."""

from __future__ import annotations

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.convert.yacs.keys import Keys
from lazycfg.convert.yacs.models.common import Shapes, box_codec, channels_of, choose, matcher, shapes_of
from lazycfg.modeling import (
    RPN,
    RRPN,
    Box2BoxTransformRotated,
    DefaultAnchorGenerator,
    RotatedAnchorGenerator,
    StandardRPNHead,
)

__all__ = ["anchors", "build_proposal_generator"]


def build_proposal_generator(keys: Keys, shapes: Shapes) -> Any:
    """Return the node of the proposal generator; None where proposals come with the data."""
    from lazycfg.convert.yacs.models.tridentnet import trident_rpn

    known = {
        "RPN": rpn,
        "RRPN": rrpn,
        "TridentRPN": trident_rpn,
        "PrecomputedProposals": lambda keys, shapes: None,
    }
    return choose(keys, "MODEL.PROPOSAL_GENERATOR.NAME", known)(keys, shapes)


def anchors(keys: Keys, features: str, shapes: Shapes, *, kind: Any = None) -> tuple[Any, int]:
    """Return the anchor generator for the feature maps that a key names, and how many anchors a place has."""
    known = {
        "DefaultAnchorGenerator": DefaultAnchorGenerator,
        "RotatedAnchorGenerator": RotatedAnchorGenerator,
    }
    cls = choose(keys, "MODEL.ANCHOR_GENERATOR.NAME", known)
    strides = [shape.stride for shape in shapes_of(keys, features, shapes)]
    sizes, ratios = keys("MODEL.ANCHOR_GENERATOR.SIZES"), keys("MODEL.ANCHOR_GENERATOR.ASPECT_RATIOS")
    given = {"sizes": sizes, "aspect_ratios": _one(ratios), "strides": strides}
    number = _level(sizes) * _level(ratios)
    for key, per_level in (("SIZES", sizes), ("ASPECT_RATIOS", ratios)):
        if len(per_level) not in (1, len(strides)):
            levels = f"{len(strides)} feature maps of {features}"
            raise keys.mistake(
                f"MODEL.ANCHOR_GENERATOR.{key}", f"is for {len(per_level)} feature maps, not for the {levels}"
            )
    if cls is RotatedAnchorGenerator:
        angles = keys("MODEL.ANCHOR_GENERATOR.ANGLES")
        given["angles"] = _one(angles)
        number *= _level(angles)
    return L(kind or cls)(**given, offset=keys("MODEL.ANCHOR_GENERATOR.OFFSET")), number


def _one(values: list[Any]) -> Any:
    """Return a list of lists of one element as that element: the same for all feature maps."""
    return values[0] if len(values) == 1 and isinstance(values[0], list | tuple) else values


def _level(values: list[Any]) -> int:
    return len(values[0]) if isinstance(values[0], list | tuple) else len(values)


def rpn(keys: Keys, shapes: Shapes) -> Any:
    """Return a region proposal network."""
    section = "MODEL.RPN"
    codec = box_codec(keys(f"{section}.BBOX_REG_WEIGHTS"))
    return L(RPN)(**_rpn_arguments(keys, shapes, codec, box_dim=4))


def rrpn(keys: Keys, shapes: Shapes) -> Any:
    """Return a region proposal network of rotated boxes."""
    if keys("MODEL.ANCHOR_GENERATOR.NAME") != "RotatedAnchorGenerator":
        raise keys.mistake("MODEL.ANCHOR_GENERATOR.NAME", "an RRPN needs RotatedAnchorGenerator")
    codec = L(Box2BoxTransformRotated)(weights=keys("MODEL.RPN.BBOX_REG_WEIGHTS"))
    return L(RRPN)(**_rpn_arguments(keys, shapes, codec, box_dim=5))


def _rpn_arguments(keys: Keys, shapes: Shapes, codec: Any, *, box_dim: int) -> dict[str, Any]:
    section = "MODEL.RPN"
    choose(keys, f"{section}.HEAD_NAME", {"StandardRPNHead": StandardRPNHead})
    generator, number = anchors(keys, f"{section}.IN_FEATURES", shapes)
    weight, of_boxes = keys(f"{section}.LOSS_WEIGHT"), keys(f"{section}.BBOX_REG_LOSS_WEIGHT")
    losses = {"loss_rpn_cls": weight, "loss_rpn_loc": of_boxes * weight}
    return {
        "in_features": keys(f"{section}.IN_FEATURES"),
        "head": L(StandardRPNHead)(
            in_channels=channels_of(keys, f"{section}.IN_FEATURES", shapes),
            num_anchors=number,
            box_dim=box_dim,
            conv_dims=keys(f"{section}.CONV_DIMS"),
        ),
        "anchor_generator": generator,
        "anchor_matcher": matcher(keys, section, low_quality=True),
        "box2box_transform": codec,
        "batch_size_per_image": keys(f"{section}.BATCH_SIZE_PER_IMAGE"),
        "positive_fraction": keys(f"{section}.POSITIVE_FRACTION"),
        "pre_nms_topk": (keys(f"{section}.PRE_NMS_TOPK_TRAIN"), keys(f"{section}.PRE_NMS_TOPK_TEST")),
        "post_nms_topk": (keys(f"{section}.POST_NMS_TOPK_TRAIN"), keys(f"{section}.POST_NMS_TOPK_TEST")),
        "nms_thresh": keys(f"{section}.NMS_THRESH"),
        "min_box_size": keys("MODEL.PROPOSAL_GENERATOR.MIN_SIZE"),
        "anchor_boundary_thresh": keys(f"{section}.BOUNDARY_THRESH"),
        "loss_weight": losses if len(set(losses.values())) > 1 else weight,
        "box_reg_loss_type": keys(f"{section}.BBOX_REG_LOSS_TYPE"),
        "smooth_l1_beta": keys(f"{section}.SMOOTH_L1_BETA"),
    }
