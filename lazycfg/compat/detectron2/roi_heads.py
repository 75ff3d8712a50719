"""Heads on regions that can be given a config."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from lazycfg import modeling
from lazycfg.config import instantiate
from lazycfg.convert.yacs.models.backbones import res5_stage
from lazycfg.convert.yacs.models.common import matcher, pooler
from lazycfg.layers import ShapeSpec

from . import registries
from .box_heads import FastRCNNOutputLayers, RotatedFastRCNNOutputLayers
from .building import keys_of
from .configurable import OfConfig, configurable
from .stand_in import StandIn

__all__ = ["CascadeROIHeads", "ROIHeads", "RROIHeads", "Res5ROIHeads", "StandardROIHeads"]

_CHANGED = {
    "_sample_proposals": "matched_idxs (B, N), matched_labels (B, N), gt_classes (B, M), all images at once",
}


def _base_arguments(cfg: Any) -> dict[str, Any]:
    section = cfg.MODEL.ROI_HEADS
    return {
        "batch_size_per_image": section.BATCH_SIZE_PER_IMAGE,
        "positive_fraction": section.POSITIVE_FRACTION,
        "num_classes": section.NUM_CLASSES,
        "proposal_append_gt": section.PROPOSAL_APPEND_GT,
        "proposal_matcher": instantiate(matcher(keys_of(cfg), "MODEL.ROI_HEADS", low_quality=False)),
    }


def _pooled(cfg: Any, section: str, input_shape: Any) -> tuple[Any, int]:
    """Return the pooler of a branch, and the channels of the maps.

    Raises:
        ValueError: the maps differ in their channels.
    """
    names = cfg.MODEL.ROI_HEADS.IN_FEATURES
    channels = {input_shape[name].channels for name in names}
    if len(channels) != 1:
        raise ValueError(f"maps {list(names)} have different numbers of channels: {sorted(channels)}")
    shapes = [input_shape[name] for name in names]
    return instantiate(pooler(keys_of(cfg), f"MODEL.{section}", shapes)), channels.pop()


def _box_parts(cfg: Any, input_shape: Any, predictor: Any) -> dict[str, Any]:
    """Return the arguments of the box branch, with a predictor of the class `predictor`."""
    box_pooler, channels = _pooled(cfg, "ROI_BOX_HEAD", input_shape)
    side = cfg.MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION
    head = registries.build_box_head(cfg, ShapeSpec(channels=channels, height=side, width=side))
    return {
        "box_in_features": cfg.MODEL.ROI_HEADS.IN_FEATURES,
        "box_pooler": box_pooler,
        "box_head": head,
        "box_predictor": predictor(cfg, head.output_shape),
    }


class ROIHeads(OfConfig, modeling.ROIHeads, metaclass=StandIn):
    """Base of a program's own heads: matches and samples proposals."""

    stands_for = modeling.ROIHeads
    changed = _CHANGED

    @classmethod
    def from_config(cls, cfg: Any) -> dict[str, Any]:
        """Return the arguments that a config asks for."""
        return _base_arguments(cfg)


class StandardROIHeads(OfConfig, modeling.StandardROIHeads, metaclass=StandIn):
    """`lazycfg.modeling.StandardROIHeads`, or of ``(cfg, shapes of the maps by name)``."""

    stands_for = modeling.StandardROIHeads
    changed = _CHANGED

    @classmethod
    def from_config(cls, cfg: Any, input_shape: Any) -> dict[str, Any]:
        """Return the arguments that a config asks for, on maps of shapes by name; the parts are built."""
        arguments = {
            **_base_arguments(cfg),
            "train_on_pred_boxes": cfg.MODEL.ROI_BOX_HEAD.TRAIN_ON_PRED_BOXES,
        }
        for make in (cls._init_box_head, cls._init_mask_head, cls._init_keypoint_head):
            if inspect.ismethod(make):  # else the program's own, which it calls itself
                arguments.update(make(cfg, input_shape))
        return arguments

    @classmethod
    def _init_box_head(cls, cfg: Any, input_shape: Any) -> dict[str, Any]:
        return _box_parts(cfg, input_shape, FastRCNNOutputLayers)

    @classmethod
    def _init_mask_head(cls, cfg: Any, input_shape: Any) -> dict[str, Any]:
        if not cfg.MODEL.MASK_ON:
            return {}
        names = cfg.MODEL.ROI_HEADS.IN_FEATURES
        if not cfg.MODEL.ROI_MASK_HEAD.POOLER_TYPE:  # the head reads the maps itself
            shape: Any = {name: input_shape[name] for name in names}
            head = registries.build_mask_head(cfg, shape)
            return {"mask_in_features": names, "mask_pooler": None, "mask_head": head}
        mask_pooler, channels = _pooled(cfg, "ROI_MASK_HEAD", input_shape)
        side = cfg.MODEL.ROI_MASK_HEAD.POOLER_RESOLUTION
        shape = ShapeSpec(channels=channels, width=side, height=side)
        head = registries.build_mask_head(cfg, shape)
        return {"mask_in_features": names, "mask_pooler": mask_pooler, "mask_head": head}

    @classmethod
    def _init_keypoint_head(cls, cfg: Any, input_shape: Any) -> dict[str, Any]:
        if not cfg.MODEL.KEYPOINT_ON:
            return {}
        keypoint_pooler, channels = _pooled(cfg, "ROI_KEYPOINT_HEAD", input_shape)
        side = cfg.MODEL.ROI_KEYPOINT_HEAD.POOLER_RESOLUTION
        shape = ShapeSpec(channels=channels, width=side, height=side)
        return {
            "keypoint_in_features": cfg.MODEL.ROI_HEADS.IN_FEATURES,
            "keypoint_pooler": keypoint_pooler,
            "keypoint_head": registries.build_keypoint_head(cfg, shape),
        }


class CascadeROIHeads(modeling.CascadeROIHeads, StandardROIHeads):
    """`lazycfg.modeling.CascadeROIHeads`, or of ``(cfg, shapes of the maps by name)``."""

    stands_for = modeling.CascadeROIHeads

    @configurable
    def __init__(self, **kwargs: Any) -> None:
        modeling.CascadeROIHeads.__init__(self, **kwargs)

    @classmethod
    def from_config(cls, cfg: Any, input_shape: Any) -> dict[str, Any]:
        """Return the arguments that a config asks for, on maps of shapes by name; the parts are built."""
        arguments = super().from_config(cfg, input_shape)
        arguments.pop("proposal_matcher")
        return arguments

    @classmethod
    def _init_box_head(cls, cfg: Any, input_shape: Any) -> dict[str, Any]:
        box_pooler, channels = _pooled(cfg, "ROI_BOX_HEAD", input_shape)
        side = cfg.MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION
        shape = ShapeSpec(channels=channels, height=side, width=side)
        section = cfg.MODEL.ROI_BOX_CASCADE_HEAD
        if not cfg.MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG:
            raise ValueError("CascadeROIHeads needs MODEL.ROI_BOX_HEAD.CLS_AGNOSTIC_BBOX_REG True")
        heads, predictors, matchers = [], [], []
        for iou, weights in zip(section.IOUS, section.BBOX_REG_WEIGHTS, strict=True):
            head = registries.build_box_head(cfg, shape)
            heads.append(head)
            codec = modeling.Box2BoxTransform(weights=weights)
            predictors.append(FastRCNNOutputLayers(cfg, head.output_shape, box2box_transform=codec))
            matchers.append(modeling.Matcher([iou], [0, 1], allow_low_quality_matches=False))
        return {
            "box_in_features": cfg.MODEL.ROI_HEADS.IN_FEATURES,
            "box_pooler": box_pooler,
            "box_heads": heads,
            "box_predictors": predictors,
            "proposal_matchers": matchers,
        }


class Res5ROIHeads(OfConfig, modeling.Res5ROIHeads, metaclass=StandIn):
    """`lazycfg.modeling.Res5ROIHeads`, or of ``(cfg, shapes of the maps by name)``."""

    stands_for = modeling.Res5ROIHeads
    changed = _CHANGED

    @classmethod
    def from_config(cls, cfg: Any, input_shape: Any) -> dict[str, Any]:
        """Return the arguments that a config asks for, on maps of shapes by name; the parts are built."""
        arguments = _base_arguments(cfg)
        res5, channels = cls._build_res5_block(cfg)
        box_pooler, _ = _pooled(cfg, "ROI_BOX_HEAD", input_shape)
        arguments |= {
            "in_features": cfg.MODEL.ROI_HEADS.IN_FEATURES,
            "pooler": box_pooler,
            "res5": res5,
            "box_predictor": FastRCNNOutputLayers(cfg, ShapeSpec(channels=channels, height=1, width=1)),
        }
        if cfg.MODEL.MASK_ON:
            side = cfg.MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION // 2
            shape = ShapeSpec(channels=channels, width=side, height=side)
            arguments["mask_head"] = registries.build_mask_head(cfg, shape)
        return arguments

    def _shared_roi_transform(self, features: Any, boxes: Any) -> Tensor:
        """Return features (R, C, H, W) of regions.

        Args:
            features: the maps by name, or a list of those of ``in_features``.
        """
        if not isinstance(features, Mapping):
            features = dict(zip(self.in_features, features, strict=True))
        return super()._shared_roi_transform(features, boxes)

    @classmethod
    def _build_res5_block(cls, cfg: Any) -> tuple[Any, int]:
        stage, channels = res5_stage(keys_of(cfg))
        return nn.Sequential(*instantiate(stage)), channels


class RROIHeads(OfConfig, modeling.RROIHeads, metaclass=StandIn):
    """`lazycfg.modeling.RROIHeads`, or of ``(cfg, shapes of the maps by name)``."""

    stands_for = modeling.RROIHeads

    @classmethod
    def from_config(cls, cfg: Any, input_shape: Any) -> dict[str, Any]:
        """Return the arguments that a config asks for, on maps of shapes by name; the parts are built."""
        return {**_base_arguments(cfg), **_box_parts(cfg, input_shape, RotatedFastRCNNOutputLayers)}
