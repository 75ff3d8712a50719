"""Configs of older versions of detectron2, whose keys had other names."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from lazycfg.convert.result import ConvertError

__all__ = ["upgrade"]

_LATEST = 2

_RENAMED = (
    ("MODEL.RPN_HEAD.NAME", "MODEL.RPN.HEAD_NAME"),
    ("MODEL.WEIGHT", "MODEL.WEIGHTS"),
    ("MODEL.PANOPTIC_FPN.SEMANTIC_LOSS_SCALE", "MODEL.SEM_SEG_HEAD.LOSS_WEIGHT"),
    ("MODEL.PANOPTIC_FPN.RPN_LOSS_SCALE", "MODEL.RPN.LOSS_WEIGHT"),
    ("MODEL.PANOPTIC_FPN.INSTANCE_LOSS_SCALE", "MODEL.PANOPTIC_FPN.INSTANCE_LOSS_WEIGHT"),
    ("MODEL.PANOPTIC_FPN.COMBINE_ON", "MODEL.PANOPTIC_FPN.COMBINE.ENABLED"),
    ("MODEL.PANOPTIC_FPN.COMBINE_OVERLAP_THRESHOLD", "MODEL.PANOPTIC_FPN.COMBINE.OVERLAP_THRESH"),
    ("MODEL.PANOPTIC_FPN.COMBINE_STUFF_AREA_LIMIT", "MODEL.PANOPTIC_FPN.COMBINE.STUFF_AREA_LIMIT"),
    (
        "MODEL.PANOPTIC_FPN.COMBINE_INSTANCES_CONFIDENCE_THRESHOLD",
        "MODEL.PANOPTIC_FPN.COMBINE.INSTANCES_CONFIDENCE_THRESH",
    ),
    ("MODEL.ROI_HEADS.SCORE_THRESH", "MODEL.ROI_HEADS.SCORE_THRESH_TEST"),
    ("MODEL.ROI_HEADS.NMS", "MODEL.ROI_HEADS.NMS_THRESH_TEST"),
    ("MODEL.RETINANET.INFERENCE_SCORE_THRESHOLD", "MODEL.RETINANET.SCORE_THRESH_TEST"),
    ("MODEL.RETINANET.INFERENCE_TOPK_CANDIDATES", "MODEL.RETINANET.TOPK_CANDIDATES_TEST"),
    ("MODEL.RETINANET.INFERENCE_NMS_THRESHOLD", "MODEL.RETINANET.NMS_THRESH_TEST"),
    ("TEST.DETECTIONS_PER_IMG", "TEST.DETECTIONS_PER_IMAGE"),
    ("TEST.AUG_ON", "TEST.AUG.ENABLED"),
    ("TEST.AUG_MIN_SIZES", "TEST.AUG.MIN_SIZES"),
    ("TEST.AUG_MAX_SIZE", "TEST.AUG.MAX_SIZE"),
    ("TEST.AUG_FLIP", "TEST.AUG.FLIP"),
)
# Anchors had keys for each meta-architecture.
_ANCHORS = (("ANCHOR_SIZES", "SIZES"), ("ANCHOR_ASPECT_RATIOS", "ASPECT_RATIOS"))


def upgrade(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested keys in their present names.

    Keys of version 1 (``VERSION: 1``, or a file that says none and has such keys) are renamed; an anchor's
    strides and what another meta-architecture would have used are left out, as detectron2 does.

    Raises:
        ConvertError: the version is a later one.
    """
    keys = copy.deepcopy(dict(given))
    version = keys.get("VERSION")
    if version is None:
        version = 1 if any(_has(keys, old) for old in ("MODEL.WEIGHT", "TEST.AUG_ON")) else _LATEST
    if version == _LATEST:
        return keys
    if not isinstance(version, int) or not 0 <= version < _LATEST:
        raise ConvertError(f"VERSION: {version!r} is not known; versions 0 to {_LATEST} are")
    for old, new in _RENAMED:
        _rename(keys, old, new)
    is_dense = keys.get("MODEL", {}).get("META_ARCHITECTURE") == "RetinaNet"
    used, other = ("RETINANET", "RPN") if is_dense else ("RPN", "RETINANET")
    for old, new in _ANCHORS:
        _rename(keys, f"MODEL.{used}.{old}", f"MODEL.ANCHOR_GENERATOR.{new}")
        _rename(keys, f"MODEL.{other}.{old}", None)
    _rename(keys, "MODEL.RETINANET.ANCHOR_STRIDES", None)
    keys["VERSION"] = _LATEST
    return keys


def _has(keys: Mapping[str, Any], path: str) -> bool:
    value: Any = keys
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return False
        value = value[name]
    return True


def _rename(keys: dict[str, Any], old: str, new: str | None) -> None:
    if not _has(keys, old):
        return
    holder: Any = keys
    *above, last = old.split(".")
    for name in above:
        holder = holder[name]
    value = holder.pop(last)
    if new is None:
        return
    holder = keys
    *above, last = new.split(".")
    for name in above:
        holder = holder.setdefault(name, {})
    holder[last] = value
