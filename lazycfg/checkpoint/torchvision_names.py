"""torchvision's names of ResNets and of the detectors on them, as tables of rules."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

import torch
from torch import Tensor

from lazycfg.checkpoint.adapter import Adapter, has_keys
from lazycfg.checkpoint.rules import Origin, Rule

__all__ = ["TORCHVISION"]

COCO_LABELS = tuple(label for label in range(1, 91) if label not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83))
"""The 80 of COCO's labels that are in use: their place in this list is their class."""
_PUBLISHED = re.compile(r"\w+_coco-[0-9a-f]{8,}\.pth")
_NEVER = -100.0  # the logit of what is never detected


def _resnet(theirs: str, ours: str) -> list[Rule]:
    rules = [
        Rule(f"{theirs}conv1.*", f"{ours}stem.conv1.*"),
        Rule(f"{theirs}bn1.*", f"{ours}stem.conv1.norm.*"),
    ]
    for stage in range(1, 5):
        block, res = f"{theirs}layer{stage}.#.", f"{ours}res{stage + 1}.#."
        rules += [
            Rule(f"{block}conv#.*", f"{res}conv#.*"),
            Rule(f"{block}bn#.*", f"{res}conv#.norm.*"),
            Rule(f"{block}downsample.0.*", f"{res}shortcut.*"),
            Rule(f"{block}downsample.1.*", f"{res}shortcut.norm.*"),
        ]
    # Read backwards the first rule that is about a name counts
    return sorted(rules, key=lambda rule: ".norm." not in rule.ours)


def _fpn(first: int, levels: int) -> list[Rule]:
    """Rules for an FPN whose finest level is of the stage ``res<first>``; names of older files come last."""
    rules = []
    for level in range(levels):
        for theirs, ours in (("inner_blocks", "fpn_lateral"), ("layer_blocks", "fpn_output")):
            theirs, ours = f"backbone.fpn.{theirs}.{level}", f"backbone.{ours}{first + level}"
            rules += [
                Rule(f"{theirs}.1.*", f"{ours}.norm.*"),
                Rule(f"{theirs}.0.*", f"{ours}.*"),
                Rule(f"{theirs}.*", f"{ours}.*"),
            ]
    return [*rules, Rule("backbone.fpn.extra_blocks.*", "backbone.top_block.*")]


_RESNET_RULES = [*_resnet("", ""), Rule("fc.*", "linear.*")]


# Classes: theirs begin with the background, whose label is 0; ours end with it, where there is one.
def _labels(origin: Origin, rows: int) -> list[int]:
    """Return the label of each of our classes, for an output of so many rows with the background."""
    coco = origin.classes == "coco" or (
        origin.classes == "auto" and _PUBLISHED.fullmatch(PurePath(origin.file).name) is not None
    )
    return list(COCO_LABELS) if coco and rows == 91 else list(range(1, rows))


def _scores_to_ours(value: Tensor, origin: Origin) -> Tensor:
    return value[[*_labels(origin, len(value)), 0]]


def _scores_to_theirs(value: Tensor, origin: Origin) -> Tensor:
    return torch.cat([value[-1:], value[:-1]])


def _boxes_to_ours(value: Tensor, origin: Origin) -> Tensor:
    by_class = value.unflatten(0, (-1, 4))
    return by_class[_labels(origin, len(by_class))].flatten(0, 1)


def _boxes_to_theirs(value: Tensor, origin: Origin) -> Tensor:
    return torch.cat([torch.zeros_like(value[:4]), value])


def _masks_to_ours(value: Tensor, origin: Origin) -> Tensor:
    return value[_labels(origin, len(value))]


def _masks_to_theirs(value: Tensor, origin: Origin) -> Tensor:
    return torch.cat([torch.zeros_like(value[:1]), value])


_PREDICTORS = [
    Rule("roi_heads.box_predictor.cls_score.*", "roi_heads.box_predictor.cls_score.*", _scores_to_ours,
         _scores_to_theirs, "the background is their first class, our last"),
    Rule("roi_heads.box_predictor.bbox_pred.*", "roi_heads.box_predictor.bbox_pred.*", _boxes_to_ours,
         _boxes_to_theirs, "theirs has a box of the background, which is never used"),
    Rule("roi_heads.mask_predictor.conv5_mask.*", "roi_heads.mask_head.deconv.*"),
    Rule("roi_heads.mask_predictor.mask_fcn_logits.*", "roi_heads.mask_head.predictor.*", _masks_to_ours,
         _masks_to_theirs, "theirs has a mask of the background, which is never used"),
    Rule("roi_heads.keypoint_predictor.kps_score_lowres.*", "roi_heads.keypoint_head.score_lowres.*"),
    Rule("rpn.head.cls_logits.*", "proposal_generator.rpn_head.objectness_logits.*"),
    Rule("rpn.head.bbox_pred.*", "proposal_generator.rpn_head.anchor_deltas.*"),
]  # fmt: skip

_HEADS = [
    *(Rule(f"roi_heads.mask_head.{i}.1.*", f"roi_heads.mask_head.mask_fcn{i + 1}.norm.*") for i in range(8)),
    *(Rule(f"roi_heads.mask_head.{i}.0.*", f"roi_heads.mask_head.mask_fcn{i + 1}.*") for i in range(8)),
    Rule("roi_heads.mask_head.mask_fcn#.*", "roi_heads.mask_head.mask_fcn#.*"),
    *(Rule(f"roi_heads.keypoint_head.{2 * i}.*", f"roi_heads.keypoint_head.conv_fcn{i + 1}.*")
      for i in range(16)),
]  # fmt: skip

_RCNN_BACKBONE = [*_resnet("backbone.body.", "backbone.bottom_up."), *_fpn(2, 4)]

_RCNN_RULES = [
    *_RCNN_BACKBONE,
    *_PREDICTORS,
    *_HEADS,
    Rule("rpn.head.conv.0.0.*", "proposal_generator.rpn_head.conv.*"),
    Rule("rpn.head.conv.weight", "proposal_generator.rpn_head.conv.weight"),
    Rule("rpn.head.conv.bias", "proposal_generator.rpn_head.conv.bias"),
    Rule("roi_heads.box_head.fc6.*", "roi_heads.box_head.fc1.*"),
    Rule("roi_heads.box_head.fc7.*", "roi_heads.box_head.fc2.*"),
]
"""Faster, Mask and Keypoint R-CNN with a box head of two linear layers."""

_RCNN_V2_RULES = [
    *_RCNN_BACKBONE,
    *_PREDICTORS,
    *_HEADS,
    Rule("rpn.head.conv.0.0.*", "proposal_generator.rpn_head.conv.conv0.*"),
    Rule("rpn.head.conv.1.0.*", "proposal_generator.rpn_head.conv.conv1.*"),
    *(Rule(f"roi_heads.box_head.{i}.1.*", f"roi_heads.box_head.conv{i + 1}.norm.*") for i in range(4)),
    *(Rule(f"roi_heads.box_head.{i}.0.*", f"roi_heads.box_head.conv{i + 1}.*") for i in range(4)),
    Rule("roi_heads.box_head.5.*", "roi_heads.box_head.fc1.*"),
]
"""The same with two convolutions in the RPN, and a box head of four convolutions and a linear layer."""


# Dense detectors: sigmoids, so there is a row for the background that nothing was ever trained to score high
# with; anchors by ratio and size in theirs, by size and ratio in ours.
_BOX_ROWS = "head.regression_head.bbox_reg.bias"
_OUR_BOX_ROWS = "head.bbox_pred.bias"


def _anchors_swapped(value: Tensor, anchors: int) -> Tensor:
    """Return what belongs to the anchors (A * K, ...) with the other of size and ratio outermost."""
    if anchors == 1:
        return value
    side = math.isqrt(anchors)
    return value.unflatten(0, (side, side, -1)).transpose(0, 1).flatten(0, 2)


def _logits_to_ours(value: Tensor, origin: Origin) -> Tensor:
    anchors = origin.rows(_BOX_ROWS) // 4
    by_anchor = value.unflatten(0, (anchors, -1))
    kept = by_anchor[:, _labels(origin, by_anchor.shape[1])].flatten(0, 1)
    return _anchors_swapped(kept, anchors)


def _logits_to_theirs(value: Tensor, origin: Origin) -> Tensor:
    anchors = origin.rows(_OUR_BOX_ROWS) // 4
    by_anchor = _anchors_swapped(value, anchors).unflatten(0, (anchors, -1))
    background = torch.full_like(by_anchor[:, :1], _NEVER if value.dim() == 1 else 0.0)
    return torch.cat([background, by_anchor], dim=1).flatten(0, 1)


def _deltas(key: str) -> Callable[[Tensor, Origin], Tensor]:
    return lambda value, origin: _anchors_swapped(value, origin.rows(key) // 4)


_DENSE_BACKBONE = [*_resnet("backbone.body.", "backbone.bottom_up."), *_fpn(3, 3)]
_DENSE_HEAD = [
    Rule("head.classification_head.cls_logits.*", "head.cls_score.*", _logits_to_ours, _logits_to_theirs,
         "theirs has a class for the background, which is never detected; the order of anchors"),
    Rule("head.regression_head.bbox_reg.*", "head.bbox_pred.*", _deltas(_BOX_ROWS), _deltas(_OUR_BOX_ROWS),
         "the order of anchors"),
]  # fmt: skip
_SUBNETS = (("classification_head", "cls_subnet"), ("regression_head", "bbox_subnet"))


def _towers(step: int) -> list[Rule]:
    """Rules for towers of four convolutions, our layers of which are so many."""
    return [
        rule
        for theirs, ours in _SUBNETS
        for i in range(4)
        for rule in (
            *([Rule(f"head.{theirs}.conv.{i}.1.*", f"head.{ours}.{step * i + 1}.*")] if step == 3 else []),
            Rule(f"head.{theirs}.conv.{i}.0.*", f"head.{ours}.{step * i}.*"),
            *(
                Rule(f"head.{theirs}.conv.{2 * i}.{leaf}", f"head.{ours}.{2 * i}.{leaf}")
                for leaf in ("weight", "bias")
                if step == 2
            ),
        )
    ]


_DENSE_RULES = [*_DENSE_BACKBONE, *_DENSE_HEAD, *_towers(2)]
"""RetinaNet without normalisation in its head."""

_DENSE_V2_RULES = [*_DENSE_BACKBONE, *_DENSE_HEAD, *_towers(3)]
"""RetinaNet with normalisation in its head, whose convolutions then have no bias."""

_FCOS_RULES = [
    *_DENSE_BACKBONE,
    Rule("head.classification_head.cls_logits.*", "head.cls_score.*", _logits_to_ours, _logits_to_theirs,
         "theirs has a class for the background, which is never detected"),
    Rule("head.regression_head.bbox_reg.*", "head.bbox_pred.*"),
    Rule("head.regression_head.bbox_ctrness.*", "head.ctrness.*"),
    *(Rule(f"head.{theirs}.conv.#.*", f"head.{ours}.#.*") for theirs, ours in _SUBNETS),
]  # fmt: skip


def _biases_of_normalised_towers(origin: Origin) -> dict[str, tuple[Tensor, str]]:
    """Return the zeros that our convolutions have as biases where theirs have none."""
    return {
        f"head.{ours}.{3 * i}.bias": (torch.zeros_like(norm), "0: their convolution has no bias")
        for theirs, ours in _SUBNETS
        for i in range(4)
        if (norm := origin.state.get(f"head.{theirs}.conv.{i}.1.bias")) is not None
    }


def _biases_without_counterpart(origin: Origin) -> frozenset[str]:
    """Return our keys of the biases that their normalised convolutions do not have."""
    return frozenset(f"head.{ours}.{3 * i}.bias" for _, ours in _SUBNETS for i in range(4))


def _refused_biases(origin: Origin) -> str:
    """Say why weights of ours cannot be theirs: a bias that their normalised convolution does not have."""
    for key in sorted(_biases_without_counterpart(origin)):
        if key in origin.state and bool(origin.state[key].any()):
            return f"{key} is not 0, and torchvision's convolution there has no bias"
    return ""


def _refused_anchors(origin: Origin) -> str:
    """Say why the order of a detector's anchors is not known; empty if it is."""
    if (rpn := origin.state.get("rpn.head.cls_logits.bias")) is not None:
        anchors = len(rpn)
        known = anchors < 4 or all(anchors % side for side in range(2, math.isqrt(anchors) + 1))
        return "" if known else _unknown_order(anchors, "1 size on each level")
    if (reg := origin.state.get(_BOX_ROWS)) is not None and len(reg) // 4 not in (1, 9):
        return _unknown_order(len(reg) // 4, "1 anchor, or 9 of 3 sizes and 3 ratios")
    return ""


def _unknown_order(anchors: int, known: str) -> str:
    return (
        f"it has {anchors} anchors for each pixel, and their order is not known: torchvision's are by ratio "
        f"and size, ours by size and ratio. Converted are detectors with {known}"
    )


_DETECTOR: dict[str, Any] = {"classifies": False, "normalised_pixels": True, "stride_in_1x1": False}
_RPN = "proposal_generator.rpn_head."

TORCHVISION = (
    Adapter(
        name="torchvision",
        rules=_RESNET_RULES,
        recognises=has_keys("conv1.weight", "layer1.0.conv1.weight"),
        ours=has_keys("stem.conv1.weight", "res2.0.conv1.weight"),
        reasons={r"conv1\.\d\..*": "a stem of three convolutions, which no ResNet of torchvision has"},
        normalised_pixels=True,
        stride_in_1x1=False,
    ),
    Adapter(
        name="torchvision-rcnn",
        rules=_RCNN_RULES,
        recognises=has_keys("rpn.head.cls_logits.weight", without=["rpn.head.conv.1.0.weight"]),
        ours=has_keys(f"{_RPN}conv.weight", "backbone.bottom_up.stem.conv1.weight"),
        refused=_refused_anchors,
        **_DETECTOR,
    ),
    Adapter(
        name="torchvision-rcnn-v2",
        rules=_RCNN_V2_RULES,
        recognises=has_keys("rpn.head.cls_logits.weight", "rpn.head.conv.1.0.weight"),
        ours=has_keys(f"{_RPN}conv.conv1.weight", "backbone.bottom_up.stem.conv1.weight"),
        refused=_refused_anchors,
        **_DETECTOR,
    ),
    Adapter(
        name="torchvision-retinanet",
        rules=_DENSE_RULES,
        recognises=has_keys(
            "head.classification_head.cls_logits.weight",
            without=["head.regression_head.bbox_ctrness.weight", "head.classification_head.conv.0.1.weight"],
        ),
        ours=has_keys("head.cls_subnet.2.weight", without=["head.ctrness.weight"]),
        refused=_refused_anchors,
        **_DETECTOR,
    ),
    Adapter(
        name="torchvision-retinanet-v2",
        rules=_DENSE_V2_RULES,
        recognises=has_keys(
            "head.classification_head.cls_logits.weight", "head.classification_head.conv.0.1.weight"
        ),
        ours=has_keys("head.cls_subnet.1.weight", without=["head.ctrness.weight"]),
        supply=_biases_of_normalised_towers,
        refused=_refused_anchors,
        refused_back=_refused_biases,
        supply_back=_biases_without_counterpart,
        **_DETECTOR,
    ),
    Adapter(
        name="torchvision-fcos",
        rules=_FCOS_RULES,
        recognises=has_keys("head.regression_head.bbox_ctrness.weight"),
        ours=has_keys("head.ctrness.weight"),
        refused=_refused_anchors,
        **_DETECTOR,
    ),
)
