"""Keys that detectron2's projects add to a config."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from lazycfg.convert.yacs.defaults import PROJECTS

from .backbones import build_resnet_deeplab_backbone as build_resnet_deeplab_backbone
from .config import CfgNode
from .solver import build_lr_scheduler as build_lr_scheduler

__all__ = [
    "add_deeplab_config",
    "add_panoptic_deeplab_config",
    "add_pointrend_config",
    "build_lr_scheduler",
    "build_resnet_deeplab_backbone",
]


def _add(cfg: CfgNode, keys: Mapping[str, Any]) -> None:
    for key, value in keys.items():
        if isinstance(value, Mapping):
            if key not in cfg:
                cfg[key] = CfgNode()
            _add(cfg[key], value)
        else:
            cfg[key] = copy.deepcopy(value)


def add_pointrend_config(cfg: CfgNode) -> None:
    """Add the keys of PointRend."""
    _add(cfg, PROJECTS["PointRend"])


def add_deeplab_config(cfg: CfgNode) -> None:
    """Add the keys of DeepLab."""
    _add(cfg, PROJECTS["DeepLab"])


def add_panoptic_deeplab_config(cfg: CfgNode) -> None:
    """Add the keys of Panoptic-DeepLab, and those of DeepLab."""
    add_deeplab_config(cfg)
    _add(cfg, PROJECTS["Panoptic-DeepLab"])
