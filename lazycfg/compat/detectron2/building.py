"""From a config to parts of a model, by the translator of ``lazycfg convert``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lazycfg.config import instantiate
from lazycfg.config.tree.node import Node
from lazycfg.convert.yacs.defaults import core_defaults, defaults
from lazycfg.convert.yacs.keys import Keys, UnknownName, flat
from lazycfg.convert.yacs.models import build_model as model_node
from lazycfg.convert.yacs.models.segmentation import build_sem_seg_head
from lazycfg.layers import ShapeSpec

from . import registries

__all__ = ["arguments_of", "keys_of", "owned", "whole_model"]

# A name that the translator knows, in the place of one that the program has registered
_NEUTRAL = {
    "MODEL.META_ARCHITECTURE": "GeneralizedRCNN",
    "MODEL.BACKBONE.NAME": "build_resnet_backbone",
    "MODEL.PROPOSAL_GENERATOR.NAME": "RPN",
    "MODEL.RPN.HEAD_NAME": "StandardRPNHead",
    "MODEL.ANCHOR_GENERATOR.NAME": "DefaultAnchorGenerator",
    "MODEL.ROI_HEADS.NAME": "StandardROIHeads",
    "MODEL.ROI_BOX_HEAD.NAME": "FastRCNNConvFCHead",
    "MODEL.ROI_MASK_HEAD.NAME": "MaskRCNNConvUpsampleHead",
    "MODEL.ROI_KEYPOINT_HEAD.NAME": "KRCNNConvDeconvUpsampleHead",
    "MODEL.SEM_SEG_HEAD.NAME": "SemSegFPNHead",
}


def owned(cfg: Any) -> list[str]:
    """Return the keys whose names the program itself has registered."""
    return [
        key
        for key, registry in registries.OF_KEY.items()
        if isinstance(name := _at(cfg, key), str) and registry.is_own(name)
    ]


def _at(cfg: Any, key: str) -> Any:
    value: Any = cfg
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def keys_of(cfg: Any) -> Keys:
    """Return the keys of a config that the translator knows; those of the program itself are left out.

    Raises:
        ConvertError: a key of detectron2 itself has a value of another type than it should.
    """
    known, core = dict(flat(defaults())), dict(flat(core_defaults()))
    given: dict[str, Any] = {}
    for key, value in flat(cfg):
        if key not in known:
            continue
        value = _in_type_of(known[key], value)
        if key not in core and not _fits(known[key], value):
            continue  # a key of the program that only has the name of a project's
        node = given
        *above, last = key.split(".")
        for name in above:
            node = node.setdefault(name, {})
        node[last] = value
    for key in owned(cfg):
        *above, last = key.split(".")
        node = given
        for name in above:
            node = node.setdefault(name, {})
        node[last] = _NEUTRAL[key]
    return Keys(given)


def _in_type_of(default: Any, value: Any) -> Any:
    """Return a value as detectron2's code would have taken it: one number or name for a tuple of one."""
    if isinstance(default, tuple | list) and isinstance(value, int | float | str):
        return type(default)([value])
    return value


def _fits(default: Any, value: Any) -> bool:
    if default is None or value is None or isinstance(default, Mapping):
        return True
    kinds = ((tuple, list), (int, float), (bool,), (str,))
    return any(isinstance(default, kind) and isinstance(value, kind) for kind in kinds)


def arguments_of(node: Node, *, without: tuple[str, ...] = (), **known: Any) -> dict[str, Any]:
    """Return the built arguments of a call, but for some.

    Args:
        without: names that are left out.
        **known: values of arguments that refer to what stands around the call.
    """
    for name in without:
        node.pop(name, None)
    node.update({name: value for name, value in known.items() if name in node})
    return {name: instantiate(value) for name, value in node.args().items()}


def whole_model(cfg: Any) -> Any:
    """Return the model of a config: where all names are detectron2's the lazy tree of the translator, built;
    else by the classes that the program has registered.

    Raises:
        KeyError: a part has a name that nobody registered.
    """
    if owned(cfg):
        return registries.META_ARCH_REGISTRY.get(cfg.MODEL.META_ARCHITECTURE)(cfg)
    try:
        node = model_node(keys_of(cfg))
    except UnknownName as error:
        if error.key in registries.OF_KEY:  # its message tells of the program, the translator's of files
            registries.OF_KEY[error.key].get(_at(cfg, error.key))
        raise
    for predictor in _federated(node):
        predictor.get_fed_loss_cls_weights = federated_weights(cfg)
    return instantiate(node)


def _federated(value: Any) -> list[Node]:
    found: list[Node] = []
    if isinstance(value, Node):
        if value.get("get_fed_loss_cls_weights") is not None:
            return [value]
        for inner in dict.values(value):  # as written: references lead out of the model
            found += _federated(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            found += _federated(inner)
    return found


def federated_weights(cfg: Any) -> Any:
    """Return a function that looks up the weights of classes for the federated loss of a config."""
    from .detection_utils import get_fed_loss_cls_weights

    names, power = cfg.DATASETS.TRAIN, cfg.MODEL.ROI_BOX_HEAD.FED_LOSS_FREQ_WEIGHT_POWER
    return lambda: get_fed_loss_cls_weights(names, power)


def shapes_by_name(input_shape: Mapping[str, Any]) -> dict[str, ShapeSpec]:
    """Return shapes by the names of feature maps, of lazycfg's class."""
    return {
        name: ShapeSpec(channels=shape.channels, stride=shape.stride) for name, shape in input_shape.items()
    }


def translated_sem_seg_head(cfg: Any, input_shape: Mapping[str, Any]) -> Any:
    """Build a semantic head of detectron2's projects, on maps of shapes by name."""
    return instantiate(build_sem_seg_head(keys_of(cfg), shapes_by_name(input_shape)))
