"""Two-stage detectors, the first stage alone, and Panoptic FPN."""

from __future__ import annotations

from typing import Any

from lazycfg import LazyCall as L
from lazycfg.convert.yacs.keys import Keys
from lazycfg.convert.yacs.models.backbones import build_backbone
from lazycfg.convert.yacs.models.common import images
from lazycfg.convert.yacs.models.proposals import build_proposal_generator
from lazycfg.convert.yacs.models.roi_heads import build_roi_heads
from lazycfg.convert.yacs.models.segmentation import build_sem_seg_head
from lazycfg.modeling import GeneralizedRCNN, PanopticFPN, ProposalNetwork

__all__ = ["generalized_rcnn", "panoptic_fpn", "proposal_network"]


def _parts(keys: Keys) -> tuple[dict[str, Any], Any]:
    backbone, shapes = build_backbone(keys)
    parts = {
        "backbone": backbone,
        "proposal_generator": build_proposal_generator(keys, shapes),
        "roi_heads": build_roi_heads(keys, shapes),
        **images(keys),
        "vis_period": keys("VIS_PERIOD"),
    }
    return parts, shapes


def generalized_rcnn(keys: Keys) -> Any:
    """Return an R-CNN."""
    return L(GeneralizedRCNN)(**_parts(keys)[0])


def proposal_network(keys: Keys) -> Any:
    """Return a proposal generator alone."""
    backbone, shapes = build_backbone(keys)
    return L(ProposalNetwork)(
        backbone=backbone, proposal_generator=build_proposal_generator(keys, shapes), **images(keys)
    )


def panoptic_fpn(keys: Keys) -> Any:
    """Return a Panoptic FPN."""
    section = "MODEL.PANOPTIC_FPN"
    if not keys(f"{section}.COMBINE.ENABLED"):
        raise keys.mistake(f"{section}.COMBINE.ENABLED", "cannot be turned off", "take the key out")
    parts, shapes = _parts(keys)
    weight = keys(f"{section}.INSTANCE_LOSS_WEIGHT")
    if weight != 1.0:
        _weigh_instances(parts["roi_heads"], weight)
    return L(PanopticFPN)(
        **parts,
        sem_seg_head=build_sem_seg_head(keys, shapes),
        combine_overlap_thresh=keys(f"{section}.COMBINE.OVERLAP_THRESH"),
        combine_stuff_area_thresh=keys(f"{section}.COMBINE.STUFF_AREA_LIMIT"),
        combine_instances_score_thresh=keys(f"{section}.COMBINE.INSTANCES_CONFIDENCE_THRESH"),
    )


def _weigh_instances(heads: Any, weight: float) -> None:
    parts = [*heads.get("box_predictors", []), heads.get("box_predictor"), heads.get("mask_head")]
    for part in filter(None, parts):
        before = part.get("loss_weight", 1.0)
        part.loss_weight = (
            {name: before.get(name, 1.0) * weight for name in ("loss_cls", "loss_box_reg")}
            if isinstance(before, dict)
            else before * weight
        )
