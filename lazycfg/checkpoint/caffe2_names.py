"""The names of Caffe2: of the MSRA backbones, and of whole models of Detectron."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from lazycfg.checkpoint.adapter import Adapter, has_keys
from lazycfg.checkpoint.rules import Origin

__all__ = ["CAFFE2"]

_CAFFE2_BLOB = {
    "w": "weight", "b": "bias",
    "bn_s": "norm.weight", "bn_b": "norm.bias", "bn_rm": "norm.running_mean", "bn_riv": "norm.running_var",
    "gn_s": "norm.weight", "gn_b": "norm.bias",
}  # fmt: skip
_CAFFE2_BRANCH = {"1": "shortcut", "2a": "conv1", "2b": "conv2", "2c": "conv3"}


def _caffe2(key: str) -> str:
    blob = "|".join(_CAFFE2_BLOB)
    if match := re.fullmatch(rf"(?:res_)?conv1_({blob})", key):
        return f"stem.conv1.{_CAFFE2_BLOB[match[1]]}"
    if match := re.fullmatch(rf"res(\d)_(\d+)_branch(1|2a|2b|2c)_({blob})", key):
        return f"res{match[1]}.{match[2]}.{_CAFFE2_BRANCH[match[3]]}.{_CAFFE2_BLOB[match[4]]}"
    if match := re.fullmatch(r"(?:pred|fc1000)_([wb])", key):
        return f"linear.{_CAFFE2_BLOB[match[1]]}"
    for pattern, name in _DETECTRON.items():
        if match := re.fullmatch(rf"{pattern}_(?P<blob>{blob})", key):
            return f"{match.expand(name)}.{_CAFFE2_BLOB[match['blob']]}"
    return key


# The layers of Detectron's models, after the backbone; with "_fpn2" where there is an FPN
_DETECTRON = {
    r"fpn_inner_res(\d)_\d+_sum(?:_lateral)?": r"fpn_lateral\1",
    r"fpn_res(\d)_\d+_sum": r"fpn_output\1",
    r"conv_rpn(?:_fpn\d)?": "proposal_generator.rpn_head.conv",
    r"rpn_cls_logits(?:_fpn\d)?": "proposal_generator.rpn_head.objectness_logits",
    r"rpn_bbox_pred(?:_fpn\d)?": "proposal_generator.rpn_head.anchor_deltas",
    r"fc6": "box_head.fc1",
    r"fc7": "box_head.fc2",
    r"head_conv(\d)": r"box_head.conv\1",
    r"cls_score": "cls_score",
    r"bbox_pred": "bbox_pred",
    r"_\[mask\]_fcn(\d)": r"mask_head.mask_fcn\1",
    r"conv5_mask": "mask_head.deconv",
    r"mask_fcn_logits": "mask_head.predictor",
    r"conv_fcn(\d)": r"keypoint_head.conv_fcn\1",
    r"kps_score_lowres": "keypoint_head.score_lowres",
}


def _detectron_value(key: str, value: Tensor, origin: Origin) -> Tensor:
    """Its background is the first class, ours the last, which boxes and masks do without."""
    name = _caffe2(key)
    if name.startswith("cls_score."):
        return torch.cat([value[1:], value[:1]])
    if name.startswith("bbox_pred."):
        return value[4:]
    if name.startswith("mask_head.predictor.") and len(value) > 1:
        return value[1:]
    return value


CAFFE2 = Adapter(
    name="caffe2",
    other_names=_caffe2,
    other_values=_detectron_value,
    harmless=r".*_momentum|lr|kps_score_[wb]",
    recognises=has_keys("conv1_w", "res2_0_branch2a_w"),
    normalised_pixels=False,
)
