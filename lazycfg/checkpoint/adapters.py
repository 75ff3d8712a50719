"""Names of other libraries' models, in ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["ADAPTERS", "Adapter"]


@dataclass(frozen=True)
class Adapter:
    """How one library names its parameters, and how it expects its images."""

    name: str
    rename: Callable[[str], str]
    """From a key of the file to ours; keys it does not know are returned as they are."""
    recognises: Callable[[Iterable[str]], bool]
    convert: Callable[[str, Tensor], Tensor] = lambda name, value: value
    """From a value of the file to ours, by our name of it."""
    is_harmless: Callable[[str], bool] = lambda key: False
    """Whether a key of the file is known to be of no use to a model."""
    normalised_pixels: bool | None = None
    """Whether the images were divided by a standard deviation (None: not known)."""
    stride_in_1x1: bool | None = None

    def remarks(self, model: nn.Module, modules: Mapping[str, str]) -> list[str]:
        """Return remarks on what in the model does not suit weights of this origin, although every key fits.

        Args:
            model: the model that received the weights.
            modules: names of modules, from ours in the file to that in the model.
        """
        remarks = []
        std = getattr(model, "pixel_std", None)
        if self.normalised_pixels is not None and isinstance(std, Tensor) and not std.is_meta:
            have = [round(value, 3) for value in std.flatten().tolist()]
            if (max(have) > 1.5) != self.normalised_pixels:
                wanted = (
                    "RGB, pixel_mean [123.675, 116.28, 103.53] and pixel_std [58.395, 57.12, 57.375]"
                    if self.normalised_pixels
                    else "BGR, pixel_mean [103.53, 116.28, 123.675] and pixel_std [1, 1, 1]"
                )
                remarks.append(f"{self.name} weights expect {wanted}; the model has pixel_std {have}")
        if self.name == "caffe2" and "box_head.fc1" in modules:
            remarks.append(
                "Detectron's models were trained with poolers of pooler_type='ROIAlign', without the half "
                "pixel of ROIAlignV2"
            )
        first = modules.get("res3.0.conv1")
        if self.stride_in_1x1 is not None and first is not None:
            conv = model.get_submodule(first)
            kernel, stride = getattr(conv, "kernel_size", None), getattr(conv, "stride", None)
            if kernel == (1, 1) and (stride != (1, 1)) != self.stride_in_1x1:
                remarks.append(f"{self.name} weights expect a ResNet with stride_in_1x1={self.stride_in_1x1}")
        return remarks


def _torchvision_resnet(key: str) -> str:
    key = re.sub(r"^fc\.", "linear.", key)
    if match := re.fullmatch(r"(conv|bn)1\.(.+)", key):
        return f"stem.conv1.{'norm.' if match[1] == 'bn' else ''}{match[2]}"
    if match := re.fullmatch(r"layer(\d)\.(\d+)\.(.+)", key):
        inner = re.sub(r"^downsample\.0\.", "shortcut.", match[3])
        inner = re.sub(r"^downsample\.1\.", "shortcut.norm.", inner)
        inner = re.sub(r"^bn(\d)\.", r"conv\1.norm.", inner)
        return f"res{int(match[1]) + 1}.{match[2]}.{inner}"
    return key


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


def _detectron_value(name: str, value: Tensor) -> Tensor:
    """Its background is the first class, ours the last, which boxes and masks do without."""
    if name.startswith("cls_score."):
        return torch.cat([value[1:], value[:1]])
    if name.startswith("bbox_pred."):
        return value[4:]
    if name.startswith("mask_head.predictor.") and len(value) > 1:
        return value[1:]
    return value


def _old_pointrend(key: str) -> str:
    """From PointRend's first names, which its published weights have."""
    key = re.sub(r"^roi_heads\.mask_(point|coarse)_head\.", r"roi_heads.mask_head.\1_head.", key)
    return re.sub(r"^(roi_heads\.mask_head\.coarse_head\.)coarse_mask_fc(\d)", r"\1fc\2", key)


ADAPTERS: dict[str, Adapter] = {
    adapter.name: adapter
    for adapter in (
        Adapter(name="none", rename=lambda key: key, recognises=lambda keys: True),
        Adapter(
            name="torchvision",
            rename=_torchvision_resnet,
            recognises=lambda keys: {"conv1.weight", "layer1.0.conv1.weight"} <= set(keys),
            normalised_pixels=True,
            stride_in_1x1=False,
        ),
        Adapter(
            name="caffe2",
            rename=_caffe2,
            convert=_detectron_value,
            is_harmless=lambda key: re.fullmatch(r".*_momentum|lr|kps_score_[wb]", key) is not None,
            recognises=lambda keys: {"conv1_w", "res2_0_branch2a_w"} <= set(keys),
            normalised_pixels=False,
        ),
        Adapter(
            name="old-pointrend",
            rename=_old_pointrend,
            recognises=lambda keys: any(key.startswith("roi_heads.mask_coarse_head.") for key in keys),
        ),
    )
}
